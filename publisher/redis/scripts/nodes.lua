-- What the nodes that are alive have in some fields. Writes nothing.
-- KEYS: a key of their slot; ARGV: nodes, beginning of the keys of the nodes' hashes, field …
-- Reply: {{id, value or nil …} …}
local time = redis.call('TIME')
local now = time[1] .. string.sub('00000' .. time[2], -6, -4)
local rows = {}
local alive = redis.pcall('ZRANGEBYSCORE', ARGV[1], now, '+inf')
if alive.err and not string.find(alive.err, 'WRONGTYPE', 1, true) then return alive end
for _, node in ipairs(alive) do
  local row = redis.pcall('HMGET', ARGV[2] .. node, unpack(ARGV, 3))
  if not row.err then                                               -- else it is no hash, so no node's
    table.insert(row, 1, node)
    rows[#rows + 1] = row
  end
end
return rows
