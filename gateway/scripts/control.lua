-- Tells every node to end a subject's streams, and with '1' also to refuse its tokens issued until now.
-- KEYS: revoked subjects; ARGV: subject '1' or '0' max_subjects announce channel
-- Reply: the second of the revocation, 0 without one
local at = 0
if ARGV[2] == '1' then
  at = tonumber(redis.call('TIME')[1])
  redis.call('ZADD', KEYS[1], 'GT', at, ARGV[1])
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[3] - 1)
end
redis.call(ARGV[4], ARGV[5], cjson.encode({ disconnect = ARGV[1], revoked = at }))
return at
