-- Pieces of an answer: appended to what is there of it, each with its event, all at once. What a call costs does not grow
-- with the answer.
-- KEYS: log meta ids0 ids1 state answer
-- ARGV: announce pubsub history_events history_ttl_s | retry epoch | job_id_json
--       | worker_json (or '': a caller without a hold on the job) | bytes that have to be there (-1: any) | limit in bytes
--       | traceparent (or '') | for each piece: uid kind ('text' | 'reasoning' | 'part') body bytes points
-- body is the inside of a JSON string, of a part its JSON. `answer` holds the JSON of all parts, without its end: "}]
-- behind an open text, ] behind anything else.
-- Reply: {'written', epoch, seq, bytes} | {'finished', status(JSON)} | {'missing'} | {'pending'}
--        | {'kind', kind(JSON)} (no answer) | {'held'} (another worker writes it)
--        | {'behind' or 'ahead', bytes} (other than expected) | {'long', bytes}
local RUN_STATE_S = 2592000                                        -- as in job.lua
local FIRST_PIECE, FIELDS_EACH = 12, 5

local ch = { log = KEYS[1], meta = KEYS[2], ids0 = KEYS[3], ids1 = KEYS[4],
  announce = ARGV[1], pubsub = ARGV[2], history = ARGV[3], ttl = ARGV[4] }
local retry, epoch, job_id_json, worker = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local expected, limit, trace = tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11]
local state, answer = KEYS[5], KEYS[6]

local known = sure('HMGET', state, 'status', 'kind', 'worker', 'lease_until',
  'answer_bytes', 'answer_points', 'answer_parts', 'answer_open', 'answer_length')
local status, bytes = known[1], tonumber(known[5]) or 0
local points, parts, open = tonumber(known[6]) or 0, tonumber(known[7]) or 0, known[8]

if not status then return { 'missing' } end
if retry == '1' then
  local sent = find(ch, { uid = ARGV[FIRST_PIECE], retry = retry, id = '' })
  if sent then return { 'written', sent.epoch, sent.seq, bytes } end
end
if status ~= '"active"' and status ~= '"pending"' then return { 'finished', status } end
if known[2] ~= '"answer"' then return { 'kind', known[2] or 'null' } end
if known[3] and known[3] ~= worker then
  if worker ~= '' or tonumber(now) < (tonumber(known[4]) or 0) then return { 'held' } end
end
if status == '"pending"' then return { 'pending' } end
if expected >= 0 and expected ~= bytes then return { expected > bytes and 'behind' or 'ahead', bytes } end
local added = 0
for at = FIRST_PIECE, #ARGV, FIELDS_EACH do added = added + tonumber(ARGV[at + 3]) end
if bytes + added > limit then return { 'long', bytes } end

local first, written, events = bytes == 0, {}, {}
local function put(text) written[#written + 1] = text end

-- The place in `parts` where this piece goes, which is a new one unless it continues the text that is open.
local function place(kind)
  if kind ~= 'part' and open == kind then return parts - 1 end
  if open == 'text' or open == 'reasoning' then put('"}') end
  put(parts == 0 and '[' or ',')
  if kind ~= 'part' then put('{"type":"' .. kind .. '","text":"') end
  open = kind
  parts = parts + 1
  return parts - 1
end

for at = FIRST_PIECE, #ARGV, FIELDS_EACH do
  local kind, body = ARGV[at + 1], ARGV[at + 2]
  local index = string.format('%.0f', place(kind))
  local type, data = 'job.part', nil
  put(body)
  if kind == 'text' then
    type = 'job.text'
    data = ',"text":"' .. body .. '","offset":' .. string.format('%.0f', points) .. '}'
    points = points + tonumber(ARGV[at + 4])
  elseif kind == 'reasoning' then
    data = ',"part":{"type":"reasoning","text":"' .. body .. '"},"index":' .. index .. '}'
  else
    data = ',"part":' .. body .. ',"index":' .. index .. '}'
  end
  events[#events + 1] = { uid = ARGV[at], retry = '0', epoch = epoch, id = '', type = type,
    data = '{"job_id":' .. job_id_json .. data, trace = trace }
end

if first then call('DEL', answer) end                              -- what an older job of this id has left behind
local text = table.concat(written)
local length = redis.pcall('APPEND', answer, text)
if type(length) == 'table' and not string.find(length.err, 'WRONGTYPE', 1, true) then return length end
if type(length) == 'table' or length ~= (tonumber(known[9]) or 0) + #text then
  -- A server that is full has evicted it, or somebody else has written there: the worker writes it once more.
  call('DEL', answer)
  call('HDEL', state, 'answer_bytes', 'answer_points', 'answer_parts', 'answer_open', 'answer_length')
  return { 'behind', 0 }
end
call('HSET', state, 'answer_bytes', string.format('%.0f', bytes + added), 'answer_points', string.format('%.0f', points),
  'answer_parts', string.format('%.0f', parts), 'answer_open', open, 'answer_length', string.format('%.0f', length))

local sent
local failure = attempt(function()
  for _, ev in ipairs(events) do sent = append(ch, ev) end
end)
if failure then return failure end
if first or ch.renews then call('EXPIRE', answer, RUN_STATE_S) end
if ch.renews then call('EXPIRE', state, RUN_STATE_S) end
return { 'written', sent.epoch, sent.seq, bytes + added }
