-- One plain event on one channel.
-- KEYS: log meta ids0 ids1 [state of a job's channel]
-- ARGV: announce pubsub history_events history_ttl_s | uid retry epoch id type data | must_exist ('1': the job must be there)
--       [traceparent]
-- Reply: {'ok', epoch, seq} | {'finished', status as JSON} | {'missing'}
local ch = { log = KEYS[1], meta = KEYS[2], ids0 = KEYS[3], ids1 = KEYS[4], state = KEYS[5],
  announce = ARGV[1], pubsub = ARGV[2], history = ARGV[3], ttl = ARGV[4],
  -- Named here, so that the table does not have to grow.
  epoch = nil, seq = nil, number = nil, mark = nil, turn = nil, renewed = nil, uids = nil,
  renews = nil, turn_began = nil }
local ev = { uid = ARGV[5], retry = ARGV[6], epoch = ARGV[7], id = ARGV[8], type = ARGV[9], data = ARGV[10],
  trace = ARGV[12] }

local reply = plain(ch, ev, ARGV[11])
settle()
return reply
