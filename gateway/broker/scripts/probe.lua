-- A sign of life that goes the way of the events. The write makes a replica refuse it, so that a node that
-- listens to a demoted master notices.
-- KEYS: a key of the probe channel's slot; ARGV: announce channel
redis.call('SET', KEYS[1], '1', 'EX', 60)
redis.call(ARGV[1], ARGV[2], '1')
return redis.call('TIME')
