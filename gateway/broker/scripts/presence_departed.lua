-- Goes through some of what a departed node held, and tells of the clients that are nowhere else.
-- KEYS: nodes, the node's hash, outbox, departed; ARGV: id, member or '' for whichever is due, cursor
-- Reply: {member, cursor}; the member is '' where nothing is left to do
local outbox, departed, member, cursor = KEYS[3], KEYS[4], ARGV[2], ARGV[3]
if member == '' then
  member = redis.call('ZRANGEBYSCORE', departed, '-inf', at(now), 'LIMIT', 0, 1)[1]
  cursor = '0'
elseif not redis.call('ZSCORE', departed, member) then
  return { '', '0' }
end
if not member then return { '', '0' } end
local hash = base .. member
local page = try('HSCAN', hash, cursor, 'COUNT', 500) or { '0', {} }
local fields = {}
for n = 1, #page[2], 2 do
  local field = page[2][n]
  redis.call('HDEL', hash, field)
  if is_client(field) then fields[#fields + 1] = field end
end
local lonely = only_here(departed, fields, member)
for _, field in ipairs(fields) do
  if lonely[field] then tell(outbox, 'left', field, 0) end
end
if page[1] == '0' then
  redis.call('DEL', hash)
  redis.call('ZREM', departed, member)
  return { '', '0' }
end
return { member, page[1] }
