-- Which pool of budgets is open? The one that is here, unless this is not the Redis that it was opened in: one that was
-- restarted or took over may have lost what was lent out last, so its pool is dropped and another one opened.
-- KEYS[1] the pool; ARGV[1] the name of the next one, ARGV[2] that of one which is to be dropped, empty for none.
-- Answers the name of the pool that is open.
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local known = redis.call('HMGET', KEYS[1], 'name', 'run_id')
if known[1] and known[1] ~= ARGV[2] and known[2] == run_id then
  return known[1]
end
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], 'name', ARGV[1], 'run_id', run_id)
return ARGV[1]
