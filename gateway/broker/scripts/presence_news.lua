-- What the scripts of presence begin with: who came and who went over all nodes, kept in order until a node tells it.
-- A client is here as long as its field is in the hash of a node, alive or departed: one whose lease has ended keeps its
-- clients until somebody has gone through them, each exactly once.
-- KEYS: nodes, the node's hash, … , and where presence is told the last two: outbox, departed. ARGV: id …
local CLIENT = 'ch:client:'
local MAX_NEWS = 10000
local MAX_AHEAD_MS = 86400000                                      -- nobody's lease ends later: such a row would stay for good
local KEEP_MS = 3600000                                            -- what a departed node held waits so long for another node
local nodes, mine, id = KEYS[1], KEYS[2], ARGV[1]
local base = string.sub(mine, 1, -#id - 1)                         -- same hash tag for all nodes, so the same slot
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function at(ms) return string.format('%.0f', ms) end

-- A node reads what others wrote, and anybody may have: what is no count is 0, and a key that is no hash has no fields.
local function number(text)
  return text and #text <= 15 and string.match(text, '^%d+$') and tonumber(text) or 0
end
local function try(...)
  local reply = redis.pcall(...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  if string.find(reply.err, 'WRONGTYPE', 1, true) then return nil end
  return redis.call(...)
end

local function is_client(field) return string.sub(field, 1, #CLIENT) == CLIENT end

local function bury(departed, member, due)
  redis.call('ZADD', departed, at(due), member)
  redis.call('PEXPIRE', departed, KEEP_MS)
  redis.call('PEXPIRE', base .. member, KEEP_MS)
end

-- Forgets nodes whose lease has ended.
local function expire_leases(departed)
  if departed then
    for _, ended in ipairs(redis.call('ZRANGEBYSCORE', nodes, '-inf', '(' .. at(now))) do
      redis.call('HDEL', base .. ended, 'generation')              -- if it comes back it writes everything anew
      bury(departed, ended, now)
    end
  end
  redis.call('ZREMRANGEBYSCORE', nodes, '-inf', '(' .. at(now))
  redis.call('ZREMRANGEBYSCORE', nodes, at(now + MAX_AHEAD_MS), '+inf')
  if departed then redis.call('ZREMRANGEBYSCORE', departed, at(now + MAX_AHEAD_MS), '+inf') end
end

local news, waiting = 0, nil
local function tell(outbox, what, client, connections)
  waiting = waiting or redis.call('XLEN', outbox)
  if waiting >= MAX_NEWS then
    redis.call('XTRIM', outbox, 'MAXLEN', 0)
    redis.call('XADD', outbox, '*', 't', 'reset')                  -- nobody took the news for long: better none than half
    waiting = 1
  end
  local entry = { '*', 't', what, 'c', string.sub(client, #CLIENT + 1), 'n', connections }
  local added = redis.pcall('XADD', outbox, unpack(entry))
  if type(added) == 'table' and added.err then
    if not string.find(added.err, ' ID', 1, true) then return redis.call('XADD', outbox, unpack(entry)) end
    redis.call('DEL', outbox)                                      -- somebody has used up the ids: begin anew
    redis.call('XADD', outbox, '*', 't', 'reset')
    redis.call('XADD', outbox, unpack(entry))
    waiting = 1
  end
  if news == 0 then redis.call('PEXPIRE', outbox, KEEP_MS) end
  news, waiting = news + 1, waiting + 1
end

-- Which of the fields are in none of the nodes, alive or departed, but those that are left out.
local function only_here(departed, fields, left_out)
  local lonely = {}
  for _, field in ipairs(fields) do lonely[field] = true end
  for _, key in ipairs({ nodes, departed }) do
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      if member ~= left_out then
        for first = 1, #fields, 1000 do
          local some = { unpack(fields, first, math.min(first + 999, #fields)) }
          local counts = try('HMGET', base .. member, unpack(some)) or {}
          for n, field in ipairs(some) do
            if counts[n] then lonely[field] = nil end
          end
        end
      end
    end
  end
  return lonely
end
