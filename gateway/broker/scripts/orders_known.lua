-- Whether Redis still has whom to send away, and with '1' says from now on that it has.
-- KEYS: the sign of it; ARGV: '1' or '0'
-- Reply: {time in ms, 1 or 0: whether the sign was there}
local known = redis.call('EXISTS', KEYS[1])
if ARGV[1] == '1' then redis.call('SET', KEYS[1], '1') end
local time = redis.call('TIME')
return { time[1] * 1000 + math.floor(time[2] / 1000), known }
