-- Streams come and go on one node, and its lease is renewed. Does nothing where Redis has not this node's data.
-- KEYS: nodes, the node's hash, users [, outbox, departed: where presence is told]
-- ARGV: id generation lease_ms max_per_user draining delivered cursor ('': sweep nobody), then per stream:
--   kind for_client n field 1 … field n
--   kind: '+' asks for a place, '=' has one already, '-' leaves; field 1 is the user's
-- Reply: {{1 or 0 per '+'}, 1 or 0: whether there is something to tell, ms until the next lease ends,
--   the next cursor},
--   or nil where everything has to be written anew
local outbox, departed = KEYS[4], KEYS[5]
if redis.call('HGET', mine, 'generation') ~= ARGV[2] then return false end
redis.call('ZADD', nodes, at(now + ARGV[3]), id)
expire_leases(departed)
redis.call('PEXPIRE', nodes, departed and KEEP_MS or ARGV[3] * 2)
redis.call('PEXPIRE', mine, departed and KEEP_MS or ARGV[3])
redis.call('HSET', mine, 'draining', ARGV[5], 'delivered', ARGV[6])

local function has_room(user)
  local max = tonumber(ARGV[4])
  return max == 0 or elsewhere(user)[2] + number(redis.call('HGET', mine, user)) < max
end

local touched, before, after = {}, {}, {}                          -- clients whose count has changed
local function count(field, by)
  local left = redis.call('HINCRBY', mine, field, by)
  if left <= 0 then redis.call('HDEL', mine, field) end
  if departed and is_client(field) then
    if not before[field] then
      touched[#touched + 1] = field
      before[field] = left - by
    end
    after[field] = left
  end
  return left
end

local function change(first, fields, for_client, by)
  count('streams', by)
  if for_client == '1' then count('client_streams', by) end
  for n = first, first + fields - 1 do
    local field = ARGV[n]
    local left = count(field, by)
    if n == first then share(field, ARGV[2], left) end
    if left <= 0 or left == by then
      if string.sub(field, 1, 3) == 'ch:' then count('channels', by) end
      if string.sub(field, 1, 10) == 'ch:client:' then count('clients', by) end
    end
  end
end

-- Who only changed the stream within these changes has not been away.
local function tell_of_touched()
  local changed = {}
  for _, field in ipairs(touched) do
    if (before[field] > 0) ~= (after[field] > 0) then changed[#changed + 1] = field end
  end
  if #changed == 0 then return end
  local lonely = only_here(departed, changed, id)
  for _, field in ipairs(changed) do
    if lonely[field] then
      tell(outbox, after[field] > 0 and 'joined' or 'left', field, math.max(0, after[field]))
    end
  end
end

-- What others have found is theirs to tell, unless it has been waiting: they may be gone.
local function something_to_tell()
  if news > 0 or redis.call('ZCOUNT', departed, '-inf', at(now)) > 0 then return true end
  local oldest = redis.call('XRANGE', outbox, '-', '+', 'COUNT', 1)[1]
  return oldest and now - tonumber(string.match(oldest[1], '^%d+')) > 1000
end

local function next_end()
  local first = redis.call('ZRANGE', nodes, 0, 0, 'WITHSCORES')
  return first[2] and math.max(0, first[2] - now) or tonumber(ARGV[3])
end

local granted, position = {}, 8
while position <= #ARGV do
  local kind, fields = ARGV[position], tonumber(ARGV[position + 2])
  local first = position + 3
  local room = kind ~= '+' or has_room(ARGV[first])
  if kind == '+' then granted[#granted + 1] = room and 1 or 0 end
  if room then change(first, fields, ARGV[position + 1], kind == '-' and -1 or 1) end
  position = first + fields
end
local cursor = ARGV[7] ~= '' and sweep(ARGV[7]) or ''
if not departed then return { granted, 0, tonumber(ARGV[3]), cursor } end
tell_of_touched()
return { granted, something_to_tell() and 1 or 0, next_end(), cursor }
