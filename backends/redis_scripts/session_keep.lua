-- Keep a session of the feed, unless somebody else has changed it since it was read.
-- KEYS[1] the session; ARGV: the mark of the state that was read (empty: there was none), the mark of the one that is
-- kept, that state, its pages (empty: as they are), and for how many milliseconds it lives from now on.
-- Answers 1; or, where another state is held by now, its mark, state and pages, each nothing where there is no session.
local mark = redis.call('HGET', KEYS[1], 'mark')
if (mark or '') ~= ARGV[1] then
  return redis.call('HMGET', KEYS[1], 'mark', 'state', 'pages')
end
redis.call('HSET', KEYS[1], 'mark', ARGV[2], 'state', ARGV[3])
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'pages', ARGV[4])
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
