-- Remember impressions of one visitor or session, the newest 64, whoever else remembers some in the same moment.
-- KEYS[1] the visitor or session; ARGV: the impressions, 16 bytes each, how many bytes are kept, when, and for how many
-- milliseconds all of it is remembered from now on. What is there already comes again because its answer was lost.
local seen = redis.call('HGET', KEYS[1], 'seen') or ''
local found = string.find(seen, ARGV[1], 1, true)
if not found or found % 16 ~= 1 then
  redis.call('HSET', KEYS[1], 'seen', string.sub(seen .. ARGV[1], -tonumber(ARGV[2])), 'at', ARGV[3])
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
