-- A channel as it is at one moment. Writes nothing. A key of another type counts as one that is not there.
-- KEYS: log meta [state [answer]] or [jobs active] or [chat]
-- ARGV: after ('' reads no events) max_bytes what ('' | 'whole' | 'state' | 'facts' | 'active' | 'jobs' | 'chat') max_jobs
--   [owner … (JSON): only a job of one of these is read, and any other is as one that is not there]
-- Reply: {epoch, seq, mark, {message …}, more ('1' or '0'), {state fields and values | facts | job ids …}, foreign keys}
-- A whole state has the text and parts of an answer too, as field answer.
-- Facts are what decides whether the state is worth reading: job_id, owner, kind, status, about how many bytes it has.
local foreign = 0
local function get(...)
  local reply = redis.pcall(...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  if not string.find(reply.err, 'WRONGTYPE', 1, true) then return redis.call(...) end
  foreign = foreign + 1
  return {}
end

local function is_of(owners)
  local is = redis.pcall('HGET', KEYS[3], 'owner')
  if not is and redis.call('EXISTS', KEYS[3]) == 0 then return false end  -- not a step more than for somebody else's
  local ok, named = pcall(cjson.decode, '[' .. (type(is) == 'string' and is or 'null') .. ']')
  for _, owner in ipairs(owners) do
    if is == owner or (ok and named[1] == cjson.decode('[' .. owner .. ']')[1]) then return true end
  end
end
local hidden = ARGV[5] and not is_of({ unpack(ARGV, 5) })

local meta = get('HMGET', KEYS[2], 'epoch', 'seq', 'mark')
local messages, more, size = {}, '0', 0
if ARGV[1] ~= '' and meta[2] and not hidden then
  local from, limit = ARGV[1] .. '-18446744073709551615', tonumber(ARGV[2])
  repeat
    local page = get('XRANGE', KEYS[1], '(' .. from, '+', 'COUNT', 32)
    for _, entry in ipairs(page) do
      if size > limit then more = '1' break end
      messages[#messages + 1] = entry[2][2]
      size = size + #entry[2][2] + 32
      from = entry[1]
    end
  until #page < 32 or more == '1'
end
local rest = {}
if hidden then
  rest = {}
elseif ARGV[3] == 'state' or ARGV[3] == 'whole' then
  rest = get('HGETALL', KEYS[3])
  if ARGV[3] == 'whole' and redis.pcall('HGET', KEYS[3], 'kind') == '"answer"' then
    local so_far = get('GET', KEYS[4])
    rest[#rest + 1] = 'answer'
    rest[#rest + 1] = type(so_far) == 'string' and so_far or ''
  end
elseif ARGV[3] == 'facts' then
  local named = get('HMGET', KEYS[3], 'job_id', 'owner', 'kind', 'status')
  local bytes = redis.pcall('MEMORY', 'USAGE', KEYS[3], 'SAMPLES', '0')
  if not bytes then
    bytes = 0  -- there is no such job: that takes no step more or less than one of somebody else
  elseif type(bytes) ~= 'number' then  -- not every server has it, and not every user may call it
    bytes = 200 * (tonumber(redis.pcall('HLEN', KEYS[3])) or 0)
    for _, name in ipairs({ 'result', 'meta', 'error', 'message' }) do
      bytes = bytes + (tonumber(redis.pcall('HSTRLEN', KEYS[3], name)) or 0)
    end
  end
  rest = { named[1] or '', named[2] or '', named[3] or '', named[4] or '', tostring(bytes) }
elseif ARGV[3] == 'active' then
  rest = get('ZRANGE', KEYS[4], -tonumber(ARGV[4]), -1)
elseif ARGV[3] == 'jobs' or ARGV[3] == 'chat' then
  rest = get('ZRANGE', KEYS[3], -tonumber(ARGV[4]), -1)
end
return { meta[1] or '', meta[2] or '0', meta[3] or '-', messages, more, rest, foreign }
