-- What the scripts of presence begin with: who came and who went over all nodes, kept in order until a node tells it.
-- A client is here as long as its field is in the hash of a node, alive or departed: one whose lease has ended keeps its
-- clients until somebody has gone through them, each exactly once.
-- KEYS: nodes, the node's hash, … , and where presence is told the last two: outbox, departed. ARGV: id …
local CLIENT = 'ch:client:'
local MAX_NEWS = 10000
local KEEP_MS = 3600000                                            -- what a departed node held waits so long for another node
local nodes, mine, id = KEYS[1], KEYS[2], ARGV[1]
local base = string.sub(mine, 1, -#id - 1)                         -- same hash tag for all nodes, so the same slot
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function at(ms) return string.format('%.0f', ms) end

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
end

local news, waiting = 0, nil
local function tell(outbox, type, client, connections)
  waiting = waiting or redis.call('XLEN', outbox)
  if waiting >= MAX_NEWS then
    redis.call('XTRIM', outbox, 'MAXLEN', 0)
    redis.call('XADD', outbox, '*', 't', 'reset')                  -- nobody took the news for long: better none than half
    waiting = 1
  end
  redis.call('XADD', outbox, '*', 't', type, 'c', string.sub(client, #CLIENT + 1), 'n', connections)
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
          local counts = redis.call('HMGET', base .. member, unpack(some))
          for n, field in ipairs(some) do
            if counts[n] then lonely[field] = nil end
          end
        end
      end
    end
  end
  return lonely
end
