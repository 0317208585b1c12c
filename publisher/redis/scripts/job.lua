-- One step in a job's life: its state, its event, and (where it has an owner) the owner's event and index, all at
-- once. Every value in the state is JSON text, so that an event's data is put together without parsing any.
-- KEYS: log meta ids0 ids1 state answer [the owner's log meta ids0 ids1 jobs active] (absent: no owner, or Cluster)
-- ARGV: announce pubsub history_events history_ttl_s | uid1 uid2 retry epoch
--       | op job_id job_id_json owner_json (or '') owner_pubsub item_id item_id_json traceparent (or '')
--       | worker_json (or '') lease_ms lost_json ("fail" or "wait")
--       | field json field json … (names in …_json: JSON text)
-- op: create · open (create if missing, start if pending) · recreate (a vanished job, under a new epoch)
--     · progress · item · complete · fail · cancel · retry (back to pending) · pause · resume
--     · expire (the worker's lease may have run out; fields: the error and the message to give)
-- Reply: {'ok', epoch, seq, status(JSON), attempt, paused(JSON or ''), (uid type data) for each event}
--        | {'finished', status(JSON)} | {'missing'} | {'exists', status(JSON)} | {'owner', owner(JSON)}
--        | {'kind', kind(JSON)} (open: the job there is of another kind)
--        | {'chat', chat(JSON)} (open: the job there is no answer of this chat) | {'held'} (open: another worker writes it)
--        | {'leased', ms} (expire: look again after so long; -1: there is no lease to run out)
local MAX_ITEMS = 1000
local RUN_STATE_S = 2592000                                        -- 30 days since its last event
local END_LOG_S, END_STATE_S, END_META_S = 3600, 86400, 604800
local LOST_AFTER_MS = 3000  -- a lease that ran out while Redis was away: its worker has so long to renew it
local FIRST_CHANGE = 20

local ch = { log = KEYS[1], meta = KEYS[2], ids0 = KEYS[3], ids1 = KEYS[4],
  announce = ARGV[1], pubsub = ARGV[2], history = ARGV[3], ttl = ARGV[4] }
local uid1, uid2, retry, epoch = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local op, job_id, job_id_json, owner, owner_pubsub = ARGV[9], ARGV[10], ARGV[11], ARGV[12], ARGV[13]
local item_id, item_id_json = ARGV[14], ARGV[15]
local worker, lease_ms, lost = ARGV[17], ARGV[18], ARGV[19]
local state, answer = KEYS[5], KEYS[6]

local ENDS = { complete = '"completed"', fail = '"failed"', cancel = '"cancelled"' }
local TYPES = { create = 'job.created', recreate = 'job.created', open = 'job.started', progress = 'job.progress',
  item = 'job.item', complete = 'job.completed', fail = 'job.failed', cancel = 'job.cancelled',
  retry = 'job.retrying', pause = 'job.paused', resume = 'job.resumed' }
local ENDED = { ['job.completed'] = true, ['job.failed'] = true, ['job.cancelled'] = true }
-- What one attempt says beside its progress.
local function words() return { 'stage', 'message', 'current', 'total', 'rate', 'eta_s' } end

-- Made where they are needed: a script's tables are built anew with each call.
local function fields_of(type)
  if type == 'job.progress' then
    return { 'status', 'attempt', 'progress', 'stage', 'message', 'current', 'total', 'rate', 'eta_s', 'created_at',
      'started_at' }
  end
  if type == 'job.paused' or type == 'job.resumed' then return { 'status', 'attempt', 'paused' } end
  local fields = {}
  local function add(list)
    for _, field in ipairs(list) do fields[#fields + 1] = field end
  end
  if type == 'job.created' or type == 'job.started' then
    add({ 'kind', 'owner', 'status', 'attempt', 'progress', 'created_at', 'started_at' })
    add(type == 'job.created' and { 'meta' } or words())
    return fields
  end
  add({ 'status', 'attempt', 'progress', 'stage', 'message', 'current', 'total' })
  if type == 'job.completed' then add({ 'result' }) end
  if type == 'job.failed' or type == 'job.cancelled' then add({ 'error' }) end
  add({ 'created_at', 'started_at' })
  if type ~= 'job.retrying' then add({ 'finished_at' }) end
  return fields
end

local UNLESS_NIL = { ['job.cancelled'] = 'error' }  -- not there where there is none: an answer that another one replaced has it

local function set(...) call('HSET', state, ...) end
local function get(field) return call('HGET', state, field) end

local function given(field)
  for i = FIRST_CHANGE, #ARGV, 2 do
    if ARGV[i] == field then return ARGV[i + 1] end
  end
end

local function apply_changes()
  -- unpack() has a limit of some thousand values.
  for i = FIRST_CHANGE, #ARGV, 1000 do set(unpack(ARGV, i, math.min(i + 999, #ARGV))) end
end

local function data_of(type)
  local fields = fields_of(type)
  local values = call('HMGET', state, unpack(fields))
  local parts = { '"job_id":' .. job_id_json }
  for i, field in ipairs(fields) do
    if values[i] or UNLESS_NIL[type] ~= field then
      parts[#parts + 1] = '"' .. field .. '":' .. (values[i] or 'null')
    end
  end
  return '{' .. table.concat(parts, ',') .. '}'
end

-- An item's fields are merged into what is known of it. The state keeps MAX_ITEMS of them; events go out for all.
local function item_data()
  local known = call('HEXISTS', state, 'item:status:' .. item_id) == 1
  local keep = known or call('HLEN', state) < 4 * MAX_ITEMS
  local parts = { '"job_id":' .. job_id_json, '"item_id":' .. item_id_json }
  for _, field in ipairs({ 'filename', 'status', 'progress', 'message' }) do
    local name = 'item:' .. field .. ':' .. item_id
    local value = given(field) or (known and get(name)) or 'null'
    if keep then set(name, value) end
    parts[#parts + 1] = '"' .. field .. '":' .. value
  end
  return '{' .. table.concat(parts, ',') .. '}'
end

-- One table for all events of this call: it remembers where the channel stands.
local och = KEYS[7] and { log = KEYS[7], meta = KEYS[8], ids0 = KEYS[9], ids1 = KEYS[10], jobs = KEYS[11],
  active = KEYS[12], announce = ARGV[1], pubsub = owner_pubsub, history = ARGV[3], ttl = ARGV[4] }

local reply = { 'ok', '', 0, '', '1', '' }

local function announce_step(uid, type, data)
  local ev = { uid = uid, retry = '0', epoch = epoch, id = '', type = type, data = data,
    trace = ARGV[16] }
  local sent = append(ch, ev)
  if och and type ~= 'job.item' then tell_owner(och, ev, job_id, ENDED[type]) end
  reply[2], reply[3] = sent.epoch, sent.seq
  for _, value in ipairs({ uid, type, data }) do reply[#reply + 1] = value end
end

-- A repeated call answers what the first one did. The data is read anew: in Cluster the owner's half still needs it.
local function answer_again()
  if retry ~= '1' then return false end
  local made = { { uid1, TYPES[op] } }
  if op == 'open' then
    made = { { uid1, 'job.created' }, { uid2, 'job.started' } }
  elseif op == 'expire' then
    made = { { uid1, get('status') == '"failed"' and 'job.failed' or 'job.retrying' } }
  end
  for _, event in ipairs(made) do
    local sent = find(ch, { uid = event[1], retry = retry, id = '' })
    if sent then
      reply[2], reply[3] = sent.epoch, sent.seq
      for _, value in ipairs({ event[1], event[2], op == 'item' and '' or data_of(event[2]) }) do
        reply[#reply + 1] = value
      end
    end
  end
  local stands = call('HMGET', state, 'status', 'attempt', 'paused')
  reply[4], reply[5], reply[6] = stands[1] or 'null', stands[2] or '1', stands[3] or ''
  return #reply > 6
end

local known = sure('HMGET', state, 'status', 'owner', 'kind', 'attempt', 'paused')
if answer_again() then return reply end

local status = known[1]
reply[5], reply[6] = known[4] or '1', known[5] or ''
if op == 'create' and status then return { 'exists', status } end
if status == '"completed"' or status == '"failed"' or status == '"cancelled"' then return { 'finished', status } end
if status then
  local is = known[2] or 'null'
  if is ~= (owner == '' and 'null' or owner) then return { 'owner', is } end
  if op == 'open' and ARGV[FIRST_CHANGE] == 'kind' and known[3] ~= ARGV[FIRST_CHANGE + 1] then
    return { 'kind', known[3] or 'null' }
  end
  if op == 'open' and known[3] == '"answer"' then
    -- Its text has one writer. Other jobs may be taken over: the queue runs a lost task again before its lease is over.
    local is = call('HMGET', state, 'chat', 'worker', 'lease_until')
    if given('chat') and is[1] ~= given('chat') then return { 'chat', is[1] or 'null' } end
    if status == '"active"' and is[2] and is[2] ~= worker
      and (not is[3] or tonumber(now) < (tonumber(is[3]) or 0)) then return { 'held' } end
  end
elseif op ~= 'create' and op ~= 'recreate' and (op ~= 'open' or not given('kind')) then
  return { 'missing' }
end

local function create()
  -- What a history without its job still holds may be another owner's: nobody may resume into it.
  ch.new_epoch = true
  if given('kind') == '"answer"' then call('DEL', answer) end        -- nor is its text this one's
  set('job_id', job_id_json, 'owner', owner == '' and 'null' or owner, 'status', '"pending"', 'attempt', '1',
    'progress', '0', 'created_at', now)
  apply_changes()
  announce_step(uid1, 'job.created', data_of('job.created'))
  return get('status')
end

-- The worker that has a job renews its lease (lease.lua). A job may be taken over: the queue runs a lost task again
-- before its lease has run out, and then the old worker's renewals are refused.
local function take_lease()
  if worker == '' then
    -- Somebody without a name takes up an answer that its worker has left.
    if known[3] == '"answer"' and status == '"pending"' then call('HDEL', state, 'worker') end
    return
  end
  set('worker', worker)
  if lease_ms ~= '0' then
    set('lease_ms', lease_ms, 'lost', lost, 'lease_until', string.format('%.0f', tonumber(now) + tonumber(lease_ms)))
  else
    call('HDEL', state, 'lease_ms', 'lost', 'lease_until')  -- those of the worker before
  end
  call('HDEL', state, 'suspected')
end

local function start()
  if status ~= '"pending"' then return false end
  status = '"active"'
  set('status', status, 'started_at', now)
  if reply[5] ~= '1' then  -- a new attempt: how far the last one came, and why it ended, says nothing of it
    set('progress', '0')
    call('HDEL', state, unpack(words()))
  end
  return true
end

-- Back to pending: the queue will run it again. `worker` stays: if it was lost only in appearance, it may go on.
local function try_again()
  reply[5] = string.format('%.0f', (tonumber(reply[5]) or 1) + 1)
  status = '"pending"'
  set('status', status, 'attempt', reply[5], 'message', given('message') or 'null')
  call('HDEL', state, 'lease_until', 'suspected')
  announce_step(uid1, 'job.retrying', data_of('job.retrying'))
end

local function end_as(ending, type)
  status = ending
  set('status', status, 'finished_at', now)
  if status == '"completed"' then set('progress', '100') end
  if reply[6] == 'true' then set('paused', 'false') end
  call('HDEL', state, 'lease_until', 'suspected', 'eta_s')
  announce_step(uid1, type, data_of(type))
end

-- How long until the job counts as lost, in ms; -1 where there is no lease. What ran out is suspected first: had Redis
-- been away, its worker could not have renewed it.
local function left_of_lease()
  local lease = call('HMGET', state, 'lease_until', 'lease_ms', 'suspected')
  local till, suspected = tonumber(lease[1]), tonumber(lease[3])
  if status ~= '"active"' or not till then return -1 end
  if tonumber(now) < till then return till - tonumber(now) end
  if not suspected then
    set('suspected', now)
    suspected = tonumber(now)
  end
  return math.max(0, suspected + math.min(tonumber(lease[2]) or LOST_AFTER_MS, LOST_AFTER_MS) - tonumber(now))
end

if op == 'expire' then
  local left = left_of_lease()
  if left ~= 0 then return { 'leased', left } end
end

local function step()
  if not status then status = create() end
  if op == 'open' or op == 'recreate' then take_lease() end
  if op == 'open' then
    if start() then announce_step(uid2, 'job.started', data_of('job.started')) end
  elseif op == 'progress' then
    start()
    apply_changes()
    announce_step(uid1, 'job.progress', data_of('job.progress'))
  elseif op == 'item' then
    announce_step(uid1, 'job.item', item_data())
  elseif op == 'retry' then
    if status == '"active"' then try_again() end
  elseif op == 'pause' or op == 'resume' then
    local paused = op == 'pause' and 'true' or 'false'
    if (reply[6] == 'true') ~= (op == 'pause') then
      reply[6] = paused
      set('paused', paused)
      announce_step(uid1, TYPES[op], data_of(TYPES[op]))
    end
  elseif op == 'expire' then
    if get('lost') == '"wait"' then
      try_again()
    else
      set('error', given('error'))
      end_as('"failed"', 'job.failed')
    end
  elseif ENDS[op] then
    apply_changes()
    end_as(ENDS[op], TYPES[op])
  end
end

local failure = attempt(step)
if failure then return failure end
local ended = ENDS[op] or status == '"failed"'
if ended then
  call('EXPIRE', ch.log, math.min(END_LOG_S, tonumber(ch.ttl)))
  call('EXPIRE', ch.meta, END_META_S)
end
-- Renewed together with the log: ch.renews is nil where this step made no event.
if ended or ch.renews ~= false then
  local state_s = ended and END_STATE_S or RUN_STATE_S
  call('EXPIRE', state, state_s)
  if known[3] == '"answer"' then call('EXPIRE', answer, state_s) end
end
reply[4] = status
if #reply == 6 then
  local stands = call('HMGET', ch.meta, 'epoch', 'seq')
  reply[2], reply[3] = stands[1] or epoch, tonumber(stands[2]) or 0
end
return reply
