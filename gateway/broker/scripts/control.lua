-- Tells every node to end a subject's streams, and with '1' also to refuse its tokens issued until now.
-- KEYS: revoked subjects, subjects that were sent away
-- ARGV: subject '1' or '0' max_subjects announce channel keep_ms
-- Reply: {the second of the revocation, 0 without one; the order's time in ms}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local at = 0
if ARGV[2] == '1' then
  at = tonumber(time[1])
  redis.call('ZADD', KEYS[1], 'GT', at, ARGV[1])
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[3] - 1)
end
local function text(ms) return string.format('%.0f', ms) end
redis.call('ZADD', KEYS[2], 'GT', text(now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text(now - ARGV[6]))
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[3] - 1)
redis.call('PEXPIRE', KEYS[2], ARGV[6])
redis.call(ARGV[4], ARGV[5], cjson.encode({ disconnect = ARGV[1], revoked = at, at = now }))
return { at, now }
