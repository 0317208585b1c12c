-- Cluster: events of a topic as updates of the Mercure hub, which lies in another slot.
-- KEYS: hub's log meta ids0 ids1 index, and the hash that says whether there is a hub
-- ARGV: announce pubsub ttl_s epoch topic | per event: uid id type data
-- Reply: how many events are there now; -1: there is no hub
local hub = { log = KEYS[1], meta = KEYS[2], ids0 = KEYS[3], ids1 = KEYS[4], index = KEYS[5],
  announce = ARGV[1], pubsub = ARGV[2], ttl = ARGV[3] }
local keep = redis.pcall('HGET', KEYS[6], 'keep')
if type(keep) ~= 'string' or not tonumber(keep) then return -1 end
hub.history = keep

local known, names = {}, {}
local function is_there(key)
  if known[key] then return true end
  local first, second = sure('HGET', hub.ids0, key), sure('HGET', hub.ids1, key)
  return first or second
end

local function all()
  for at = 6, #ARGV, 4 do
    local key = 'u' .. ARGV[at]
    if not is_there(key) then
      local sent = update(hub, ARGV[5], { uid = ARGV[at], epoch = ARGV[4], id = ARGV[at + 1], type = ARGV[at + 2],
        data = ARGV[at + 3] })
      known[key] = true
      names[#names + 1] = key
      names[#names + 1] = sent.epoch .. ' ' .. string.format('%.0f', sent.seq)
      hub.uids = names  -- settle() keeps them, so that a repeated call is known
    end
  end
end

return attempt(all) or (#ARGV - 5) / 4
