-- Has a job asked for from now on; once is enough.
-- KEYS: due jobs (as in poll.lua)
-- ARGV: job_id
-- Reply: 1, or 0 where it was known
local clock = redis.call('TIME')
local now = string.format('%.0f', tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000))
local fresh = redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0
if fresh then redis.call('HSET', KEYS[2], ARGV[1], now .. ' 0 -') end
redis.call('ZADD', KEYS[1], 'NX', now, ARGV[1])
return fresh and 1 or 0
