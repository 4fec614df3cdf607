-- Replace what is known of one visitor, unless somebody else has meanwhile.
-- KEYS[1] the visitor; ARGV: what was known as it was read (empty: nothing), what is known now, the name of this
-- addition, when, and for how many milliseconds the visitor is remembered from now on.
-- Answers 1; 0 when something else is known by now. An addition whose answer was lost changes nothing when it comes again.
if redis.call('HGET', KEYS[1], 'by') == ARGV[3] then
  return 1
end
if (redis.call('HGET', KEYS[1], 'known') or '') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'known', ARGV[2], 'by', ARGV[3], 'at', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
