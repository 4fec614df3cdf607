-- Fill buckets of one subject, as common/rate_limits.py says.
-- KEYS[1] the subject; ARGV: now, "fill" or "admit", then for each bucket its name, when it is full, what each use fills,
-- and how many there are; all times in whole microseconds. Numbers are doubles, exact below 2^53.
-- Answers for each how full it would be (fill), or how many there is room for (admit).
local now, admits = tonumber(ARGV[1]), ARGV[2] == 'admit'
local names = {}
for at = 3, #ARGV, 4 do
  names[#names + 1] = ARGV[at]
end
local held = redis.call('HMGET', KEYS[1], unpack(names))
local answer, known, longest = {}, {}, 0
for number, name in ipairs(names) do
  local at = 3 + (number - 1) * 4
  local per, cost, times = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  -- A bucket that is named twice in one call is filled twice.
  local before = known[name] or tonumber(held[number] or '0')
  local level = math.min(math.max(before - now, 0), per)
  local after
  if admits then
    local room = per - level
    answer[number] = math.min(times, (room - math.fmod(room, cost)) / cost)
    after = now + level + answer[number] * cost
  else
    answer[number] = level + cost * times
    after = now + math.min(answer[number], per)
  end
  known[name] = math.max(before, after)
  longest = math.max(longest, known[name] - now)
end
local changed = {}
for name, empty_at in pairs(known) do
  changed[#changed + 1] = name
  changed[#changed + 1] = string.format('%.0f', empty_at)
end
redis.call('HSET', KEYS[1], unpack(changed))
-- Empty buckets need not be known; the clocks of nodes may differ by a minute before one is forgotten too soon.
local lives = math.ceil(longest / 1000) + 60000
if lives > redis.call('PTTL', KEYS[1]) then
  redis.call('PEXPIRE', KEYS[1], lives)
end
return answer
