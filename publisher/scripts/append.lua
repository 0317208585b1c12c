-- What every publishing script begins with: find an event that was sent before, append one, announce it.
-- The caller's chunk follows in the same script, so one call is one atomic step.

local IDEMPOTENCY_S = 300      -- an event is recognised at least this long
local META_TTL_S = 2592000     -- 30 days: meta outlives the log, so that a loss is noticed
local MAX_UIDS = 10000         -- random uids remembered per turn and channel; the log knows the newest ones too
local RENEW_MS = 60000         -- TTLs are renewed at most this often: three commands less per event

local clock = redis.call('TIME')
local now_s = tonumber(clock[1])
local now = string.format('%.0f', now_s * 1000 + math.floor(tonumber(clock[2]) / 1000))

local function id_key(ev)
  if ev.id ~= '' then return 'i' .. ev.id end
  return 'u' .. ev.uid
end

-- The position that this event got when it was appended before, or nil. Only an own id or a retry can have one.
-- The log is the evidence of last resort: it knows retries later than the id buckets do.
local function find(ch, ev)
  if ev.id == '' and ev.retry ~= '1' then return nil end
  local key = id_key(ev)
  local found = redis.call('HGET', ch.ids0, key) or redis.call('HGET', ch.ids1, key)
  if found then
    local epoch, seq = string.match(found, '^(%a+) (%d+)$')
    return { epoch = epoch, seq = tonumber(seq) }
  end
  if ev.retry ~= '1' then return nil end
  local mark = string.sub(ev.uid, 1, 6)
  for _, entry in ipairs(redis.call('XREVRANGE', ch.log, '+', '-')) do
    local epoch, seq, seen = string.match(entry[2][2], '^1 (%a+) (%d+) (%S+) ')
    if seen == mark then return { epoch = epoch, seq = tonumber(seq) } end
  end
  return nil
end

-- Two hashes take turns of IDEMPOTENCY_S each; the older one is emptied when its turn comes again.
local function remember(ch, ev, known_turn, epoch, seq)
  local turn = math.floor(now_s / IDEMPOTENCY_S)
  local ids = turn % 2 == 0 and ch.ids0 or ch.ids1
  local fresh = tonumber(known_turn) ~= turn
  if fresh then redis.call('DEL', ids) end
  if ev.id == '' and redis.call('HLEN', ids) >= MAX_UIDS then return turn end
  redis.call('HSET', ids, id_key(ev), epoch .. ' ' .. seq)
  if fresh then redis.call('EXPIRE', ids, IDEMPOTENCY_S * 2) end
  return turn
end

-- Append and announce. ch: log meta ids0 ids1 pubsub announce history ttl; ev: uid id retry epoch type data.
-- ch.new_epoch forces a new history (a job that vanished and is created again).
local function append(ch, ev)
  local meta = redis.call('HMGET', ch.meta, 'epoch', 'seq', 'mark', 'turn', 'renewed')
  local epoch, seq, prev = meta[1], tonumber(meta[2]), meta[3]
  if not epoch or not seq or not prev or ch.new_epoch then
    epoch, seq, prev = ev.epoch, 0, '-'
    meta[5] = false
    -- A log without its meta would refuse the small numbers to come. No needless DEL: after a first write a full
    -- server lets a script go on.
    if redis.call('EXISTS', ch.log) == 1 then redis.call('DEL', ch.log) end
  end
  seq = seq + 1
  local mark = string.sub(ev.uid, 1, 6)
  local number = string.format('%.0f', seq)
  local own = ev.id ~= '' and ' ' .. ev.id or ''
  local message = '1 ' .. epoch .. ' ' .. number .. ' ' .. mark .. ' ' .. prev .. ' ' .. now .. ' '
    .. ev.type .. own .. '\n' .. ev.data
  redis.call('XADD', ch.log, 'MAXLEN', '=', ch.history, number .. '-0', 'm', message)
  local turn = remember(ch, ev, meta[4], epoch, number)
  local renew = not meta[5] or math.abs(tonumber(now) - tonumber(meta[5])) > RENEW_MS
  redis.call('HSET', ch.meta, 'epoch', epoch, 'seq', number, 'mark', mark, 'turn', turn,
    'renewed', renew and now or meta[5])
  if renew then
    redis.call('EXPIRE', ch.log, ch.ttl)
    redis.call('EXPIRE', ch.meta, META_TTL_S)
  end
  redis.call(ch.announce, ch.pubsub, message)
  return { epoch = epoch, seq = seq }
end
