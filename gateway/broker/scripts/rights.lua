-- Tries, as this user, what is done inside Redis to keys, on keys that are gone afterwards, and announces nothing ('').
-- KEYS: hash stream zset text spare (one slot); ARGV: announce (or '') channel, commands to try …
-- Reply: {command, error …} of those that were refused
local wanted, refused = {}, {}
for n = 3, #ARGV do wanted[ARGV[n]] = true end
local function try(command, ...)
  if not wanted[command] then return end
  local reply = redis.pcall(command, ...)
  if type(reply) == 'table' and reply.err then
    refused[#refused + 1] = command
    refused[#refused + 1] = reply.err
  end
end
local hash, stream, zset, text, spare = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
try('TIME')
try('HSET', hash, 'n', '1')
try('HGET', hash, 'n')
try('HMGET', hash, 'n')
try('HGETALL', hash)
try('HEXISTS', hash, 'n')
try('HLEN', hash)
try('HSTRLEN', hash, 'n')
try('HINCRBY', hash, 'n', 1)
try('HSCAN', hash, 0)
try('HDEL', hash, 'm')
try('RENAME', hash, spare)
try('EXISTS', spare)
try('EXPIRE', hash, 60)
try('EXPIRE', spare, 60)
try('PEXPIRE', spare, 60000)
try('XADD', stream, 'MAXLEN', '=', 1, '1-0', 'm', '')
try('XLEN', stream)
try('XTRIM', stream, 'MAXLEN', '=', 1)
try('XDEL', stream, '1-0')
try('EXPIRE', stream, 60)
try('XRANGE', stream, '(1-0', '+', 'COUNT', 1)
try('XREVRANGE', stream, '+', '-', 'COUNT', 1)
try('ZADD', zset, 'GT', 1, 'm')
try('EXPIRE', zset, 60)
try('ZCOUNT', zset, 0, 1)
try('ZSCORE', zset, 'm')
try('ZRANGE', zset, 0, -1)
try('ZRANGEBYSCORE', zset, 0, '+inf')
try('ZREMRANGEBYRANK', zset, 0, -2)
try('ZREMRANGEBYSCORE', zset, '-inf', '(1')
try('ZSCAN', zset, 0)
try('ZREM', zset, 'n')
try('SET', text, '1', 'EX', 60)
try('APPEND', text, '1')
try('EXPIRE', text, 60)
try('GET', text)
try('PTTL', text)
if ARGV[1] ~= '' then
  wanted[ARGV[1]] = true
  try(ARGV[1], ARGV[2], '')
end
try('DEL', hash, stream, zset, text)
try('UNLINK', spare)
return refused
