-- Somebody asks who is subscribed: from now on for a while it is told who comes and goes.
-- KEYS: nodes watched log; ARGV: watched_ms
-- Reply: {id of the newest update ('' for none), {nodes that are alive …}}
local clock = redis.call('TIME')
local now = clock[1] .. string.sub('00000' .. clock[2], -6, -4)
redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
local newest = redis.pcall('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
local message = not newest.err and newest[1] and newest[1][2][2] or ''
local id = string.match(message, '^1 %a+ %d+ %S+ %S+ %d+ %S+ ([^\n]+)\n') or ''
return { id, redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf') }
