-- A worker's word that it is alive. It holds a job from the step that opened it until another worker opens it.
-- KEYS: state
-- ARGV: worker_json lease_ms
-- Reply: {status(JSON) or '', paused(JSON) or ''} and 'held' where the lease is this worker's and now renewed
local state = KEYS[1]
local known = redis.pcall('HMGET', state, 'status', 'paused', 'worker')
if known.err then
  if not string.find(known.err, 'WRONGTYPE', 1, true) then return known end
  known = {}                                                        -- no hash, so no job
end
local reply = { known[1] or '', known[2] or '' }
if known[1] == '"active"' and known[3] == ARGV[1] then
  local clock = redis.call('TIME')
  local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
  redis.call('HSET', state, 'lease_until', string.format('%.0f', now + tonumber(ARGV[2])))
  redis.call('HDEL', state, 'suspected')
  reply[3] = 'held'
end
return reply
