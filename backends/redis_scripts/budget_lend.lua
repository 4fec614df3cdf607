-- Lend out of the pool, to one holder, for many accounts at once.
-- KEYS[1] the pool; ARGV: its name, the holder, share, least, most (what an account may lend out at most, 2^53 - 1),
-- then for each account its number, the micros that the holder knows to have been lent in all, and the micros wanted.
-- Answers for each account what was lent to the holder in all, and what is left; nothing when the pool is not the one
-- that was named, or has forgotten what it lent.
--
-- Sums instead of steps make every call harmless that comes twice, late or unanswered: who does not know of what was
-- lent is told, and nothing more is lent meanwhile. Numbers are doubles, exact below 2^53, and written without exponents.
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local known = redis.call('HMGET', KEYS[1], 'name', 'run_id')
if known[1] ~= ARGV[1] or known[2] ~= run_id then
  return false
end
local holder, share, least, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local fields = {}
for at = 6, #ARGV, 3 do
  fields[#fields + 1] = 'left:' .. ARGV[at]
  fields[#fields + 1] = 'lent:' .. holder .. ':' .. ARGV[at]
end
local values = {}
for at = 1, #fields, 1000 do
  local part = redis.call('HMGET', KEYS[1], unpack(fields, at, math.min(at + 999, #fields)))
  for _, value in ipairs(part) do
    values[#values + 1] = tonumber(value or '0')
  end
end
for row = 1, #values, 2 do
  if values[row + 1] < tonumber(ARGV[4 + (row + 1) / 2 * 3]) then
    return false
  end
end
local answer, changed = {}, {}
for row = 1, #values, 2 do
  local at = 3 + (row + 1) / 2 * 3
  local believed, wanted = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local left, lent = values[row], values[row + 1]
  if lent == believed then
    local part = left
    if share > 1 then
      part = math.max((left - math.fmod(left, share)) / share, least)
    end
    local grant = math.min(wanted, part, left, most - lent)
    if grant > 0 then
      left, lent = left - grant, lent + grant
      changed[#changed + 1] = fields[row]
      changed[#changed + 1] = string.format('%.0f', left)
      changed[#changed + 1] = fields[row + 1]
      changed[#changed + 1] = string.format('%.0f', lent)
    end
  end
  answer[row], answer[row + 1] = lent, left
end
for at = 1, #changed, 1000 do
  redis.call('HSET', KEYS[1], unpack(changed, at, math.min(at + 999, #changed)))
end
return answer
