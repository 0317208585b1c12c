-- A node goes: its lease is over now, and the next node that renews its own ends what is left.
-- KEYS: nodes; ARGV: node
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then redis.call('ZADD', KEYS[1], 0, ARGV[1]) end
return 1
