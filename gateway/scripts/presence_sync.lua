-- Writes all of a node's counts anew, in parts that become visible together with the last one.
-- KEYS: nodes, the node's hash, the new one in the making
-- ARGV: id generation lease_ms '1' for the last part or '0', then fields and values
local nodes, mine, new = KEYS[1], KEYS[2], KEYS[3]
if #ARGV > 4 then redis.call('HSET', new, unpack(ARGV, 5)) end
redis.call('PEXPIRE', new, ARGV[3])
if ARGV[4] == '0' then return 1 end
local generation = tonumber(redis.call('HGET', mine, 'generation') or '0')
if generation >= tonumber(ARGV[2]) then
  redis.call('DEL', new) -- a call from the past, which waited in a server that hung
  return 0
end
redis.call('HSET', new, 'generation', ARGV[2])
redis.call('RENAME', new, mine)
redis.call('PEXPIRE', mine, ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', nodes, string.format('%.0f', now + ARGV[3]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', nodes, '-inf', string.format('(%.0f', now))
redis.call('PEXPIRE', nodes, ARGV[3] * 2)
return 1
