-- Put money into the pool that the ledger has leased to it.
-- KEYS[1] the pool; ARGV: its name, then for each account its number and the micros that the ledger has leased to the
-- pool in all. Answers how many accounts got more; nothing when the pool is not the one that was named.
-- The sum only grows, so that what is said twice or late changes nothing.
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local known = redis.call('HMGET', KEYS[1], 'name', 'run_id')
if known[1] ~= ARGV[1] or known[2] ~= run_id then
  return false
end
local filled = 0
for at = 2, #ARGV, 2 do
  local account, total = ARGV[at], tonumber(ARGV[at + 1])
  local row = redis.call('HMGET', KEYS[1], 'left:' .. account, 'filled:' .. account)
  local left, before = tonumber(row[1] or '0'), tonumber(row[2] or '0')
  if total > before then
    redis.call('HSET', KEYS[1], 'left:' .. account, string.format('%.0f', left + total - before),
      'filled:' .. account, string.format('%.0f', total))
    filled = filled + 1
  end
end
return filled
