-- A publication: into the hub's history, and onto the topics of the same names. In Cluster one call for each.
-- KEYS: hub's log meta ids0 ids1 index | per topic: log meta ids0 ids1
-- ARGV: announce pubsub keep ttl_s uid epoch id data ('': not into the hub) history_events
--       | per topic: pubsub uid epoch type data
local hub = { log = KEYS[1], meta = KEYS[2], ids0 = KEYS[3], ids1 = KEYS[4], index = KEYS[5],
  announce = ARGV[1], pubsub = ARGV[2], history = ARGV[3], ttl = ARGV[4] }

local function all()
  if ARGV[8] ~= '' then
    hub_append(hub, ARGV[5], ARGV[6], ARGV[7], ARGV[8])
  end
  local key = 6
  for at = 10, #ARGV, 5 do
    local ch = { log = KEYS[key], meta = KEYS[key + 1], ids0 = KEYS[key + 2], ids1 = KEYS[key + 3],
      announce = ARGV[1], pubsub = ARGV[at], history = ARGV[9], ttl = ARGV[4] }
    append(ch, { uid = ARGV[at + 1], retry = '0', epoch = ARGV[at + 2], id = '', type = ARGV[at + 3], data = ARGV[at + 4] })
    key = key + 4
  end
end

return attempt(all) or 1
