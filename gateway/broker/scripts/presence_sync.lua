-- Writes all of a node's counts anew, in parts that become visible together with the last one.
-- KEYS: nodes, the node's hash, users, the new hash in the making [, outbox, departed]
-- ARGV: id generation lease_ms '1' for the last part or '0', then fields and values
-- Reply: 0, or the generation that is there if it is not older than this one
local new, outbox, departed = KEYS[4], KEYS[5], KEYS[6]
local generation = number(try('HGET', mine, 'generation'))
if generation >= tonumber(ARGV[2]) then
  if not departed then redis.call('DEL', new) end -- a call from the past, which waited in a server that hung
  return generation
end
local newer = id .. ':' .. ARGV[2]                                 -- the new hash, as a departed one
if departed then
  local fields, counts = {}, {}
  for n = 5, #ARGV, 2 do
    if is_client(ARGV[n]) then
      fields[#fields + 1] = ARGV[n]
      counts[ARGV[n]] = ARGV[n + 1]
    end
  end
  local lonely = only_here(departed, fields, newer)
  for _, field in ipairs(fields) do
    if lonely[field] then tell(outbox, 'joined', field, counts[field]) end
  end
end
for n = 5, #ARGV, 2 do
  if string.sub(ARGV[n], 1, 5) == 'user:' then share(ARGV[n], ARGV[2], tonumber(ARGV[n + 1])) end
end
if #ARGV > 4 then redis.call('HSET', new, unpack(ARGV, 5)) end
redis.call('PEXPIRE', new, ARGV[3])
if departed then bury(departed, newer, now + ARGV[3]) end          -- in case that the last part never comes
if ARGV[4] == '0' then return 0 end
redis.call('HSET', new, 'generation', ARGV[2])
if departed then
  redis.call('ZREM', departed, id, newer)
  if redis.call('EXISTS', mine) == 1 then
    local older = id .. ':before:' .. ARGV[2]
    redis.call('RENAME', mine, base .. older)
    bury(departed, older, now)
  end
end
redis.call('RENAME', new, mine)
redis.call('PEXPIRE', mine, departed and KEEP_MS or ARGV[3])
redis.call('ZADD', nodes, at(now + ARGV[3]), id)
expire_leases(departed)
redis.call('PEXPIRE', nodes, departed and KEEP_MS or ARGV[3] * 2)
return 0
