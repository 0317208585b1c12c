-- What every publishing script begins with: find an event that was sent before, append one, announce it.
-- The caller's chunk follows in the same script, so one call is one atomic step.

local IDEMPOTENCY_S = 300      -- an event is recognised at least this long
local META_TTL_S = 2592000     -- 30 days: meta outlives the log, so that a loss is noticed
local MAX_UIDS = 10000         -- random uids remembered per turn and channel; the log knows the newest ones too
local RENEW_MS = 60000         -- TTLs are renewed at most this often: three commands less per event

local call = redis.call
local clock = call('TIME')
local now_s = tonumber(clock[1])
-- Milliseconds as text: numbers would be formatted anew with each event.
local now = clock[1] .. string.sub('00000' .. clock[2], -6, -4)

-- Whoever may write to Redis may have put anything there. A key of a channel that is of another type than its own is
-- removed, and the call made once more: it would be refused for good.
local function sure(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  if string.find(reply.err, 'WRONGTYPE', 1, true) then call('DEL', key) end
  return call(command, key, ...)
end

local function id_key(ev)
  if ev.id ~= '' then return 'i' .. ev.id end
  return 'u' .. ev.uid
end

-- The position that this event got when it was appended before, or nil. Only an own id or a retry can have one.
-- The log is the evidence of last resort: it knows retries later than the id buckets do.
local function find(ch, ev)
  if ev.id == '' and ev.retry ~= '1' then return nil end
  local key = id_key(ev)
  local found = ch.said and ch.said[key] or redis.pcall('HGET', ch.ids0, key) or redis.pcall('HGET', ch.ids1, key)
  if type(found) == 'table' then found = sure('HGET', ch.ids0, key) or sure('HGET', ch.ids1, key) end
  if found then
    local epoch, seq = string.match(found, '^(%a+) (%d+)$')
    if epoch then return { epoch = epoch, seq = tonumber(seq) } end
  end
  if ev.retry ~= '1' then return nil end
  local mark = string.sub(ev.uid, 1, 6)
  for _, entry in ipairs(sure('XREVRANGE', ch.log, '+', '-')) do
    local epoch, seq, seen = string.match(entry[2][2], '^[12] (%a+) (%d+) (%S+) ')
    if seen == mark then return { epoch = epoch, seq = tonumber(seq) } end
  end
  return nil
end

-- Where the channel stands; `epoch` is for a history that begins with this call. What no script has written there counts
-- as nothing; a number that is none is refused by XADD.
local function read_meta(ch, epoch)
  local meta = redis.pcall('HMGET', ch.meta, 'epoch', 'seq', 'mark', 'turn', 'renewed')
  if meta.err then meta = sure('HMGET', ch.meta, 'epoch', 'seq', 'mark', 'turn', 'renewed') end
  ch.epoch, ch.seq, ch.mark, ch.turn, ch.renewed = meta[1], tonumber(meta[2]), meta[3], tonumber(meta[4]), meta[5]
  if not ch.epoch or not ch.seq or not ch.mark or ch.new_epoch
    or #ch.mark ~= 6 or not string.find(ch.epoch, '^%a%a%a%a%a%a%a%a$') or string.find(ch.mark, '[^%w_-]') then
    ch.epoch, ch.seq, ch.mark, ch.renewed, ch.new_epoch = epoch, 0, '-', false, nil
    -- A log without its meta would refuse the small numbers to come. No needless DEL: after a first write a full
    -- server lets a script go on.
    if call('EXISTS', ch.log) == 1 then call('DEL', ch.log) end
  end
end

local function message_of(ch, ev, number, mark)
  local own = ev.id ~= '' and ' ' .. ev.id or ''
  local traced = ev.trace and ev.trace ~= ''
  return (traced and '2 ' or '1 ') .. ch.epoch .. ' ' .. number .. ' ' .. mark .. ' ' .. ch.mark .. ' '
    .. now .. (traced and ' ' .. ev.trace .. ' ' or ' ') .. ev.type .. own .. '\n' .. ev.data
end

local touched, outgoing = {}, {}

-- Append an event; settle() has to follow before the script ends. ch: log meta ids0 ids1 pubsub announce history ttl;
-- ev: uid id retry epoch type data [trace]. ch.new_epoch forces a new history (a job that vanished and is created again).
local function append(ch, ev)
  if not ch.seq or ch.new_epoch then read_meta(ch, ev.epoch) end
  local mark = string.sub(ev.uid, 1, 6)
  local seq = ch.seq + 1
  local number = string.format('%.0f', seq)
  local message = message_of(ch, ev, number, mark)
  local added = redis.pcall('XADD', ch.log, 'MAXLEN', '=', ch.history, number .. '-0', 'm', message)
  if type(added) == 'table' then
    if string.find(added.err, 'WRONGTYPE', 1, true) or string.find(added.err, ' ID', 1, true) then
      ch.new_epoch = true                    -- no log, or one whose numbers somebody has used up: a history begins anew
      read_meta(ch, ev.epoch)
      seq, number = 1, '1'
      message = message_of(ch, ev, number, mark)
    end
    call('XADD', ch.log, 'MAXLEN', '=', ch.history, number .. '-0', 'm', message)
  end
  ch.seq, ch.number, ch.mark = seq, number, mark
  if not ch.uids then
    ch.uids = {}
    touched[#touched + 1] = ch
  end
  local key, position = id_key(ev), ch.epoch .. ' ' .. number
  local ids = ch.uids
  if ev.id ~= '' then
    ch.own, ch.said = ch.own or {}, ch.said or {}
    ch.said[key] = position
    ids = ch.own
  end
  ids[#ids + 1] = key
  ids[#ids + 1] = position
  outgoing[#outgoing + 1] = ch
  outgoing[#outgoing + 1] = message
  return { epoch = ch.epoch, seq = seq }
end

local function set_all(key, pairs)
  -- unpack() has a limit of some thousand values.
  for first = 1, #pairs, 1000 do call('HSET', key, unpack(pairs, first, math.min(first + 999, #pairs))) end
end

-- Two hashes take turns of IDEMPOTENCY_S each; the older one is emptied when its turn comes again.
local function remember(ch, ids, fresh)
  if fresh then call('DEL', ids) end
  if ch.own then set_all(ids, ch.own) end
  if #ch.uids > 0 then
    local known = redis.pcall('HLEN', ids)
    if type(known) == 'table' then known = sure('HLEN', ids) end
    if known < MAX_UIDS then set_all(ids, ch.uids) end
  end
  if fresh then call('EXPIRE', ids, IDEMPOTENCY_S * 2) end
end

-- Write down where each channel stands now, and only then do what might fail: a history whose numbers its meta does not
-- know would take no further event.
local function settle()
  local turn = math.floor(now_s / IDEMPOTENCY_S)
  for n = 1, #touched do
    local ch = touched[n]
    local renewed = tonumber(ch.renewed)
    local renew = not renewed or not (math.abs(tonumber(now) - renewed) <= RENEW_MS)
    local fresh = ch.turn ~= turn
    if renew or fresh then
      call('HSET', ch.meta, 'epoch', ch.epoch, 'seq', ch.number, 'mark', ch.mark, 'turn', turn,
        'renewed', renew and now or ch.renewed)
    else
      call('HSET', ch.meta, 'seq', ch.number, 'mark', ch.mark)
    end
    ch.renews = renew
    if renew then
      call('EXPIRE', ch.log, ch.ttl)
      call('EXPIRE', ch.meta, META_TTL_S)
    end
    ch.turn_began = fresh
  end
  for n = 1, #touched do
    local ch = touched[n]
    remember(ch, turn % 2 == 0 and ch.ids0 or ch.ids1, ch.turn_began)
  end
  for n = 1, #outgoing, 2 do (outgoing[n].say or call)(outgoing[n].announce, outgoing[n].pubsub, outgoing[n + 1]) end
end

-- Run a part that appends, and settle what it did, also where it broke off; the error, if it did.
local function attempt(part)
  local done, failure = pcall(part)
  settle()
  if done then return nil end
  if type(failure) == 'table' then return failure end
  return redis.error_reply(tostring(failure))
end
