-- What the other nodes that are alive have in some fields. Writes nothing.
-- KEYS: nodes, this node's hash; ARGV: id field …
-- Reply: {{id, value or nil …} …}
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local rows = {}
local alive = redis.pcall('ZRANGEBYSCORE', KEYS[1], now, '+inf')
if alive.err and not string.find(alive.err, 'WRONGTYPE', 1, true) then return alive end
for _, other in ipairs(alive) do
  if other ~= ARGV[1] then
    local key = string.sub(KEYS[2], 1, -#ARGV[1] - 1) .. other
    if redis.call('EXISTS', key) == 1 then
      local row = redis.pcall('HMGET', key, unpack(ARGV, 2))
      if row.err then row = {} end                                  -- no hash, so no node's
      table.insert(row, 1, other)
      rows[#rows + 1] = row
    end
  end
end
return rows
