-- Streams come and go on one node, and its lease is renewed. Does nothing where Redis has not this node's data.
-- KEYS: nodes, the node's hash
-- ARGV: id generation lease_ms max_per_user draining delivered, then per stream: kind for_client n field 1 … field n
--   kind: '+' asks for a place, '=' has one already, '-' leaves; field 1 is the user's
-- Reply: {1 or 0 per '+'}, or nil where everything has to be written anew
local nodes, mine, id = KEYS[1], KEYS[2], ARGV[1]
if redis.call('HGET', mine, 'generation') ~= ARGV[2] then return false end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', nodes, string.format('%.0f', now + ARGV[3]), id)
redis.call('ZREMRANGEBYSCORE', nodes, '-inf', string.format('(%.0f', now))
redis.call('PEXPIRE', nodes, ARGV[3] * 2)
redis.call('PEXPIRE', mine, ARGV[3])
redis.call('HSET', mine, 'draining', ARGV[5], 'delivered', ARGV[6])

local others, taken = {}, {}
for _, other in ipairs(redis.call('ZRANGE', nodes, 0, -1)) do
  -- Same hash tag, so the same slot: who is alive is known here only.
  if other ~= id then others[#others + 1] = string.sub(mine, 1, -#id - 1) .. other end
end

local function has_room(user)
  local max = tonumber(ARGV[4])
  if max == 0 then return true end
  if not taken[user] then
    taken[user] = 0
    for _, other in ipairs(others) do
      taken[user] = taken[user] + (redis.call('HGET', other, user) or 0)
    end
  end
  return taken[user] + (redis.call('HGET', mine, user) or 0) < max
end

local function count(field, by)
  local left = redis.call('HINCRBY', mine, field, by)
  if left <= 0 then redis.call('HDEL', mine, field) end
  return left
end

local function change(first, fields, for_client, by)
  count('streams', by)
  if for_client == '1' then count('client_streams', by) end
  for at = first, first + fields - 1 do
    local field = ARGV[at]
    local left = count(field, by)
    if left <= 0 or left == by then
      if string.sub(field, 1, 3) == 'ch:' then count('channels', by) end
      if string.sub(field, 1, 10) == 'ch:client:' then count('clients', by) end
    end
  end
end

local granted, at = {}, 7
while at <= #ARGV do
  local kind, fields = ARGV[at], tonumber(ARGV[at + 2])
  local first = at + 3
  local room = kind ~= '+' or has_room(ARGV[first])
  if kind == '+' then granted[#granted + 1] = room and 1 or 0 end
  if room then change(first, fields, ARGV[at + 1], kind == '-' and -1 or 1) end
  at = first + fields
end
return granted
