-- What the scripts of pollers begin with. A key of another type than its own is removed: it would be refused for good.
for n, look in ipairs({ { 'ZRANGE', KEYS[1], 0, 0 }, { 'HLEN', KEYS[2] } }) do
  local reply = redis.pcall(unpack(look))
  if type(reply) == 'table' and reply.err and string.find(reply.err, 'WRONGTYPE', 1, true) then
    redis.call('DEL', KEYS[n])
  end
end
