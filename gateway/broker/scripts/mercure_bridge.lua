-- Publishers on this server are told that what comes on topics is the Mercure hub's too.
-- KEYS: the flag; ARGV: how many updates the hub keeps, for how many seconds this is true
redis.call('HSET', KEYS[1], 'keep', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
