-- A plain event of a publisher's: found, refused or appended. ch.state is the key of a job's state, for its channel only.

-- The Mercure hub's one history: a channel whose events carry their ids, and an index from an id to its number.
-- A hub is a channel as append() takes it, with an index.
local function hub_append(hub, uid, epoch, id, data)
  local sent = append(hub, { uid = uid, retry = '0', epoch = epoch, id = id, type = 'mercure', data = data })
  hub.uids, hub.own, hub.said = {}, nil, nil                    -- an id is a place here, and no idempotency key
  if sent.seq == 1 then call('DEL', hub.index) end              -- it led into a history that is gone
  sure('ZADD', hub.index, 'NX', hub.number, id)                 -- used twice, it leads to the first
  call('ZREMRANGEBYRANK', hub.index, 0, -1 - hub.history)
  call('EXPIRE', hub.index, hub.ttl)
  return sent
end

-- An event of a topic as the hub's update.
local function update(hub, topic, ev)
  local id = ev.id
  if id == '' or id == 'earliest' or string.sub(id, 1, 1) == '#' then id = 'urn:sse:' .. ev.uid end
  return hub_append(hub, ev.uid, ev.epoch, id, '{"topics":[' .. cjson.encode(topic) .. '],"type":"' .. ev.type
    .. '","json":' .. ev.data .. '}')
end

-- An event on a topic is an update of the Mercure hub too, where a node has said so, and how many the hub keeps. The
-- hub's keys are named by nobody: a user who may not have them leaves it at the topic. In Cluster hub.lua follows.
local hub
local function bridge(ch, ev)
  local prefix, topic = string.match(ch.log, '^(.-):{topic:(.*)}:log$')
  if not prefix or topic == 'presence' or ch.announce ~= 'PUBLISH' then return end
  if hub == nil then
    local base = prefix .. ':{mercure}'
    local keep = redis.pcall('HGET', prefix .. ':{gateway}:nodes-mercure', 'keep')
    hub = type(keep) == 'string' and tonumber(keep) and { log = base .. ':log', meta = base .. ':meta',
      ids0 = base .. ':ids0', ids1 = base .. ':ids1', index = base .. ':index', announce = ch.announce,
      say = redis.pcall, history = keep, ttl = ch.ttl,
      pubsub = string.match(ch.pubsub, '^(.-){') .. '{mercure}' } or false
    if hub and type(redis.pcall('EXPIRE', hub.index, hub.ttl)) == 'table' then hub = false end
  end
  if hub then update(hub, topic, ev) end
end

local function plain(ch, ev, must_exist)
  local sent = find(ch, ev)
  if sent then return { 'ok', sent.epoch, sent.seq } end
  if ch.state then
    ch.status = ch.status or sure('HGET', ch.state, 'status')
    local status = ch.status
    if not status and must_exist == '1' then return { 'missing' } end
    if status == '"completed"' or status == '"failed"' or status == '"cancelled"' then
      return { 'finished', status }
    end
  end
  sent = append(ch, ev)
  bridge(ch, ev)
  return { 'ok', sent.epoch, sent.seq }
end
