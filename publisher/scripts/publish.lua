-- One plain event on one channel.
-- KEYS: log meta ids0 ids1 [state of a job's channel]
-- ARGV: announce pubsub history ttl_s | uid retry epoch id type data | must_exist ('1': the job must be there)
-- Reply: {'ok', epoch, seq} | {'finished', status as JSON} | {'missing'}
local ch = { log = KEYS[1], meta = KEYS[2], ids0 = KEYS[3], ids1 = KEYS[4],
  announce = ARGV[1], pubsub = ARGV[2], history = ARGV[3], ttl = ARGV[4] }
local ev = { uid = ARGV[5], retry = ARGV[6], epoch = ARGV[7], id = ARGV[8], type = ARGV[9], data = ARGV[10] }

local sent = find(ch, ev)
if sent then return { 'ok', sent.epoch, sent.seq } end
if KEYS[5] then
  local status = redis.call('HGET', KEYS[5], 'status')
  if not status and ARGV[11] == '1' then return { 'missing' } end
  if status == '"completed"' or status == '"failed"' or status == '"cancelled"' then
    return { 'finished', status }
  end
end
sent = append(ch, ev)
return { 'ok', sent.epoch, sent.seq }
