-- A node stops: it is gone at once, and what it held is left to whoever goes through it.
-- KEYS: nodes, the node's hash, outbox, departed; ARGV: id
if redis.call('EXISTS', mine) == 1 then
  redis.call('HDEL', mine, 'generation')
  bury(KEYS[4], id, now)
end
redis.call('ZREM', nodes, id)
return 1
