-- One step in a job's life: its state, its event, and (where it has an owner) the owner's event and index, all at
-- once. Every value in the state is JSON text, so that an event's data is put together without parsing any.
-- KEYS: log meta ids0 ids1 state [the owner's log meta ids0 ids1 jobs active] (absent: no owner, or Cluster)
-- ARGV: announce pubsub history ttl_s | uid1 uid2 retry epoch
--       | op job_id job_id(JSON) owner(JSON or '') owner_pubsub item_id item_id(JSON) traceparent (or '')
--       | field json field json …
-- op: create · open (create if missing, start if pending) · recreate (a vanished job, under a new epoch)
--     · progress · item · complete · fail · cancel
-- Reply: {'ok', epoch, seq, status(JSON), (uid type data) for each event}
--        | {'finished', status(JSON)} | {'missing'} | {'exists', status(JSON)} | {'owner', owner(JSON)}
--        | {'kind', kind(JSON)} (open: the job there is of another kind)
local MAX_ITEMS = 1000
local RUN_STATE_S = 2592000                                        -- 30 days since its last event
local END_LOG_S, END_STATE_S, END_META_S = 3600, 86400, 604800
local FIRST_CHANGE = 17

local ch = { log = KEYS[1], meta = KEYS[2], ids0 = KEYS[3], ids1 = KEYS[4],
  announce = ARGV[1], pubsub = ARGV[2], history = ARGV[3], ttl = ARGV[4] }
local uid1, uid2, retry, epoch = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local op, job_id, job_id_json, owner, owner_pubsub = ARGV[9], ARGV[10], ARGV[11], ARGV[12], ARGV[13]
local item_id, item_id_json = ARGV[14], ARGV[15]
local state = KEYS[5]

local ENDS = { complete = '"completed"', fail = '"failed"', cancel = '"cancelled"' }
local TYPES = { create = 'job.created', recreate = 'job.created', open = 'job.started', progress = 'job.progress',
  item = 'job.item', complete = 'job.completed', fail = 'job.failed', cancel = 'job.cancelled' }
local LIFE = { 'status', 'progress', 'stage', 'message', 'current', 'total' }
local TIMES = { 'created_at', 'started_at', 'finished_at' }
local BIRTH = { 'kind', 'owner', 'status', 'progress', 'created_at', 'started_at' }

local function concat(...)
  local all = {}
  for _, list in ipairs({ ... }) do
    for _, value in ipairs(list) do all[#all + 1] = value end
  end
  return all
end

local FIELDS = {
  ['job.created'] = concat(BIRTH, { 'meta' }),
  ['job.started'] = BIRTH,
  ['job.progress'] = concat(LIFE, { 'created_at', 'started_at' }),
  ['job.completed'] = concat(LIFE, { 'result' }, TIMES),
  ['job.failed'] = concat(LIFE, { 'error' }, TIMES),
  ['job.cancelled'] = concat(LIFE, TIMES),
}

local function set(...) call('HSET', state, ...) end
local function get(field) return call('HGET', state, field) end

local function apply_changes()
  -- unpack() has a limit of some thousand values.
  for i = FIRST_CHANGE, #ARGV, 1000 do set(unpack(ARGV, i, math.min(i + 999, #ARGV))) end
end

local function data_of(type)
  local fields = FIELDS[type]
  local values = call('HMGET', state, unpack(fields))
  local parts = { '"job_id":' .. job_id_json }
  for i, field in ipairs(fields) do
    parts[#parts + 1] = '"' .. field .. '":' .. (values[i] or 'null')
  end
  return '{' .. table.concat(parts, ',') .. '}'
end

-- An item's fields are merged into what is known of it. The state keeps MAX_ITEMS of them; events go out for all.
local function item_data()
  local known = call('HEXISTS', state, 'item:status:' .. item_id) == 1
  local keep = known or call('HLEN', state) < 4 * MAX_ITEMS
  local parts = { '"job_id":' .. job_id_json, '"item_id":' .. item_id_json }
  local given = {}
  for i = FIRST_CHANGE, #ARGV, 2 do given[ARGV[i]] = ARGV[i + 1] end
  for _, field in ipairs({ 'filename', 'status', 'progress', 'message' }) do
    local name = 'item:' .. field .. ':' .. item_id
    local value = given[field] or (known and get(name)) or 'null'
    if keep then set(name, value) end
    parts[#parts + 1] = '"' .. field .. '":' .. value
  end
  return '{' .. table.concat(parts, ',') .. '}'
end

-- One table for all events of this call: it remembers where the channel stands.
local och = KEYS[6] and { log = KEYS[6], meta = KEYS[7], ids0 = KEYS[8], ids1 = KEYS[9], jobs = KEYS[10],
  active = KEYS[11], announce = ARGV[1], pubsub = owner_pubsub, history = ARGV[3], ttl = ARGV[4] }

local reply = { 'ok', '', 0, '' }

local function announce_step(uid, type, data)
  local ev = { uid = uid, retry = '0', epoch = epoch, id = '', type = type, data = data,
    trace = ARGV[16] }
  local sent = append(ch, ev)
  if och and type ~= 'job.item' then tell_owner(och, ev, job_id, ENDS[op] ~= nil) end
  reply[2], reply[3] = sent.epoch, sent.seq
  for _, value in ipairs({ uid, type, data }) do reply[#reply + 1] = value end
end

-- A repeated call answers what the first one did. The data is read anew: in Cluster the owner's half still needs it.
local function answer_again()
  if retry ~= '1' then return false end
  local made = op == 'open' and { { uid1, 'job.created' }, { uid2, 'job.started' } } or { { uid1, TYPES[op] } }
  for _, event in ipairs(made) do
    local sent = find(ch, { uid = event[1], retry = retry, id = '' })
    if sent then
      reply[2], reply[3] = sent.epoch, sent.seq
      for _, value in ipairs({ event[1], event[2], op == 'item' and '' or data_of(event[2]) }) do
        reply[#reply + 1] = value
      end
    end
  end
  reply[4] = get('status') or 'null'
  return #reply > 4
end

if answer_again() then return reply end

local known = call('HMGET', state, 'status', 'owner', 'kind')
local status = known[1]
if op == 'create' and status then return { 'exists', status } end
if status == '"completed"' or status == '"failed"' or status == '"cancelled"' then return { 'finished', status } end
if status then
  local is = known[2] or 'null'
  if is ~= (owner == '' and 'null' or owner) then return { 'owner', is } end
  if op == 'open' and ARGV[FIRST_CHANGE] == 'kind' and known[3] ~= ARGV[FIRST_CHANGE + 1] then
    return { 'kind', known[3] or 'null' }
  end
elseif op ~= 'create' and op ~= 'open' and op ~= 'recreate' then
  return { 'missing' }
end

local function create()
  -- What a history without its job still holds may be another owner's: nobody may resume into it.
  ch.new_epoch = true
  set('job_id', job_id_json, 'owner', owner == '' and 'null' or owner, 'status', '"pending"', 'progress', '0',
    'created_at', now)
  apply_changes()
  announce_step(uid1, 'job.created', data_of('job.created'))
  return get('status')
end

local function start()
  if status ~= '"pending"' then return false end
  status = '"active"'
  set('status', status, 'started_at', now)
  return true
end

local function step()
  if not status then status = create() end
  if op == 'open' then
    if start() then announce_step(uid2, 'job.started', data_of('job.started')) end
  elseif op == 'progress' then
    start()
    apply_changes()
    announce_step(uid1, 'job.progress', data_of('job.progress'))
  elseif op == 'item' then
    announce_step(uid1, 'job.item', item_data())
  elseif ENDS[op] then
    apply_changes()
    status = ENDS[op]
    set('status', status, 'finished_at', now)
    if op == 'complete' then set('progress', '100') end
    announce_step(uid1, TYPES[op], data_of(TYPES[op]))
  end
end

local failure = attempt(step)
if failure then return failure end
if ENDS[op] then
  call('EXPIRE', ch.log, math.min(END_LOG_S, tonumber(ch.ttl)))
  call('EXPIRE', ch.meta, END_META_S)
end
-- Renewed together with the log: ch.renews is nil where this step made no event.
if ENDS[op] or ch.renews ~= false then call('EXPIRE', state, ENDS[op] and END_STATE_S or RUN_STATE_S) end
reply[4] = status
if #reply == 4 then
  local stands = call('HMGET', ch.meta, 'epoch', 'seq')
  reply[2], reply[3] = stands[1] or epoch, tonumber(stands[2]) or 0
end
return reply
