-- Pieces of an answer: appended to what is there of it, each with its event, all at once. What a call costs does not grow
-- with the answer. Used by answer_main.lua and answer_many.lua.
-- A piece is five arguments: uid kind ('text' | 'reasoning' | 'part') body bytes points. body is the inside of a JSON
-- string, of a part its JSON. The key `answer` holds the JSON of all parts, without its end: "}] behind an open text,
-- ] behind anything else.
-- Reply: {'written', epoch, seq, bytes} | {'finished', status(JSON)} | {'missing'} | {'pending'}
--        | {'kind', kind(JSON)} (no answer) | {'held'} (another worker writes it)
--        | {'behind' or 'ahead', bytes} (other than expected) | {'long', bytes}
local RUN_STATE_S = 2592000                                        -- as in job.lua
local FIELDS_EACH = 5

-- Append the pieces that stand from ARGV[from] to ARGV[to]; settle() and kept() have to follow. a: job_id_json worker
-- expected trace retry epoch state answer.
local function append_pieces(ch, a, limit, from, to)
  local known = sure('HMGET', a.state, 'status', 'kind', 'worker', 'lease_until',
    'answer_bytes', 'answer_points', 'answer_parts', 'answer_open', 'answer_length', 'answer_by')
  local status, bytes = known[1], tonumber(known[5]) or 0
  local points, parts, open = tonumber(known[6]) or 0, tonumber(known[7]) or 0, known[8]

  if not status then return { 'missing' } end
  if a.retry == '1' and from < to then
    local sent = find(ch, { uid = ARGV[from], retry = '1', id = '' })
    if sent then return { 'written', sent.epoch, sent.seq, bytes } end
  end
  if status ~= '"active"' and status ~= '"pending"' then return { 'finished', status } end
  if known[2] ~= '"answer"' then return { 'kind', known[2] or 'null' } end
  if known[3] and known[3] ~= a.worker then
    local held = not known[4] or tonumber(now) < (tonumber(known[4]) or 0)  -- without a lease, to the end
    if a.worker ~= '' or (held and status == '"active"') then return { 'held' } end
  end
  if status == '"pending"' then return { 'pending' } end
  if a.expected >= 0 and a.expected ~= bytes then return { a.expected > bytes and 'behind' or 'ahead', bytes } end
  -- A worker does not know yet how much is there only at its first call: this is the same one, which was overtaken.
  if a.expected < 0 and a.worker ~= '' and known[10] == a.worker then return { 'ahead', bytes } end
  local function lost()
    -- A server that is full has evicted it, or somebody else has written there: the worker writes it once more. With
    -- the history of what it was, or readers would take the same words for new ones.
    call('DEL', a.answer, ch.log, ch.meta)
    call('HDEL', a.state, 'answer_bytes', 'answer_points', 'answer_parts', 'answer_open', 'answer_length', 'answer_by')
    return { 'behind', 0 }
  end
  if to < from then  -- nothing to append: only whether all is there
    local length = redis.pcall('APPEND', a.answer, '')
    if type(length) == 'table' or length ~= (tonumber(known[9]) or 0) then return lost() end
    return { 'written', '', 0, bytes }
  end
  local added = 0
  for at = from, to, FIELDS_EACH do added = added + tonumber(ARGV[at + 3]) end
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

  for at = from, to, FIELDS_EACH do
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
    events[#events + 1] = { uid = ARGV[at], retry = '0', epoch = a.epoch, id = '', type = type,
      data = '{"job_id":' .. a.job_id_json .. data, trace = a.trace }
  end

  if first then call('DEL', a.answer) end                          -- what an older job of this id has left behind
  local text = table.concat(written)
  local length = redis.pcall('APPEND', a.answer, text)
  if type(length) == 'table' and not string.find(length.err, 'WRONGTYPE', 1, true) then error(length) end
  if type(length) == 'table' or length ~= (tonumber(known[9]) or 0) + #text then
    return lost()
  end
  call('HSET', a.state, 'answer_bytes', string.format('%.0f', bytes + added),
    'answer_points', string.format('%.0f', points), 'answer_parts', string.format('%.0f', parts), 'answer_open', open,
    'answer_length', string.format('%.0f', length), 'answer_by', a.worker)
  local sent
  for _, ev in ipairs(events) do sent = append(ch, ev) end
  ch.begun = first
  return { 'written', sent.epoch, sent.seq, bytes + added }
end

-- Once it is settled: how long what was written is kept.
local function kept(ch, a)
  if ch.begun or ch.renews then call('EXPIRE', a.answer, RUN_STATE_S) end
  if ch.renews then call('EXPIRE', a.state, RUN_STATE_S) end
end
