-- Removes keys of another type than they should be, so that what belongs there can be written again.
-- KEYS: keys of one slot; ARGV: the type of each: hash, stream or zset
-- Reply: how many were removed
local LOOK = { hash = { 'HLEN' }, stream = { 'XLEN' }, zset = { 'ZCOUNT', 0, 0 } }
local removed = 0
for n, key in ipairs(KEYS) do
  local look = LOOK[ARGV[n]]
  local reply = redis.pcall(look[1], key, unpack(look, 2))
  if type(reply) == 'table' and reply.err and string.find(reply.err, 'WRONGTYPE', 1, true) then
    removed = removed + redis.call('DEL', key)
  end
end
return removed
