-- Cluster only: the second half of a job's step, in the owner's slot. Repeating it is harmless.
-- KEYS: log meta ids0 ids1 jobs active
-- ARGV: announce pubsub history_events history_ttl_s | uid retry epoch
--       | job_id type data ended ('1' or '0') [traceparent]
local och = { log = KEYS[1], meta = KEYS[2], ids0 = KEYS[3], ids1 = KEYS[4], jobs = KEYS[5], active = KEYS[6],
  announce = ARGV[1], pubsub = ARGV[2], history = ARGV[3], ttl = ARGV[4] }
local ev = { uid = ARGV[5], retry = ARGV[6], epoch = ARGV[7], id = '', type = ARGV[9], data = ARGV[10],
  trace = ARGV[12] }
local sent
local failure = attempt(function() sent = tell_owner(och, ev, ARGV[8], ARGV[11] == '1') end)
if failure then return failure end
return { 'ok', sent.epoch, sent.seq }
