-- Tries, as this user, every command that nodes and publishers use inside Redis, on keys that are gone afterwards.
-- KEYS: hash stream zset text spare (one slot); ARGV: announce channel
-- Reply: {command, error …} of those that were refused
local refused = {}
local function try(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then
    refused[#refused + 1] = (...)
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
try('HINCRBY', hash, 'n', 1)
try('HSCAN', hash, 0)
try('HDEL', hash, 'm')
try('RENAME', hash, spare)
try('EXISTS', spare)
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
try('GET', text)
try(ARGV[1], ARGV[2], '')
try('DEL', hash, stream, zset, text)
try('UNLINK', spare)
return refused
