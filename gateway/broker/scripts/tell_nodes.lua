-- Says something to every node.
-- KEYS: a key of the channel's slot; ARGV: announce channel message
-- Reply: how many hear it
return redis.call(ARGV[1], ARGV[2], ARGV[3])
