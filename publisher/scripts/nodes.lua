-- What the nodes that are alive have in some fields. Writes nothing.
-- KEYS: nodes; ARGV: beginning of the keys of the nodes' hashes (in the same slot), field …
-- Reply: {{id, value or nil …} …}
local time = redis.call('TIME')
local now = time[1] .. string.sub('00000' .. time[2], -6, -4)
local rows = {}
for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf')) do
  local row = redis.call('HMGET', ARGV[1] .. node, unpack(ARGV, 2))
  table.insert(row, 1, node)
  rows[#rows + 1] = row
end
return rows
