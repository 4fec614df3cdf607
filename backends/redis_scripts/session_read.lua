-- A session of the feed as it stands, or its mark alone where the caller knows that state.
-- KEYS[1] the session; ARGV[1] the mark of the state that is known, empty for none.
-- Answers nothing where there is no session; the mark; or the mark, the state and the pages.
local mark = redis.call('HGET', KEYS[1], 'mark')
if not mark or mark == ARGV[1] then
  return mark
end
return redis.call('HMGET', KEYS[1], 'mark', 'state', 'pages')
