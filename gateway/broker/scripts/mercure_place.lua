-- Where a reader of the hub's history goes on. Writes nothing.
-- KEYS: log meta index
-- ARGV: the id of the update that it has ('' or an unknown one: before all that is kept)
-- Reply: {found ('1' or '0'), epoch, seq, mark}; seq '0': before the first update there ever was
local function get(...)
  local reply = redis.pcall(...)
  if type(reply) == 'table' and reply.err then return false end
  return reply
end

local function parsed(entry)
  return string.match(entry and entry[2][2] or '', '^1 (%a+) (%d+) (%S+) (%S+) ')
end

local seq = ARGV[1] ~= '' and get('ZSCORE', KEYS[3], ARGV[1])
if seq then
  local entry = get('XRANGE', KEYS[1], seq .. '-0', seq .. '-0')
  local epoch, number, mark = parsed(entry and entry[1])
  if epoch then return { '1', epoch, number, mark } end
end
local first = get('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
local epoch, number, _, prev = parsed(first and first[1])
if epoch and number ~= '1' and prev ~= '-' then
  return { '0', epoch, string.format('%.0f', tonumber(number) - 1), prev }
end
if epoch then return { '0', '', '0', '-' } end
local meta = get('HMGET', KEYS[2], 'epoch', 'seq', 'mark')
if meta and meta[1] and meta[2] and meta[3] then return { '0', meta[1], meta[2], meta[3] } end
return { '0', '', '0', '-' }
