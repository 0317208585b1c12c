-- A node's subscriptions: some come, some go, its lease is renewed, and those of nodes that are gone are ended.
-- Each subscriber is a field of its node's hash; the value is what ends its subscriptions, one update a line.
-- KEYS: nodes, the node's hash, watched, hub's log meta ids0 ids1 index
-- ARGV: node lease_ms watched_ms watching ('1': a stream here may hear of subscriptions) anew ('1': all is told again)
--       announce pubsub keep ttl_s seed epoch | per change: '+' subscriber n line 1 … n of its ends, of its
--       beginnings; or '-' subscriber
-- A line is an id, a blank, and the update's data.
-- Reply: 1, 2 (call again soon), or 0: the node is not known any more, and has to tell everything anew
local nodes, mine, watched = KEYS[1], KEYS[2], KEYS[3]
local id, MOST = ARGV[1], 256
local base = string.sub(mine, 1, #mine - #id)
local hub = { log = KEYS[4], meta = KEYS[5], ids0 = KEYS[6], ids1 = KEYS[7], index = KEYS[8],
  announce = ARGV[6], pubsub = ARGV[7], history = ARGV[8], ttl = ARGV[9] }
local time_ms = tonumber(now)

if ARGV[5] ~= '1' and not call('ZSCORE', nodes, id) then return 0 end
call('ZADD', nodes, time_ms + tonumber(ARGV[2]), id)
if ARGV[4] == '1' then call('SET', watched, '1', 'PX', ARGV[3]) end
local told, said = call('EXISTS', watched) == 1, 0

local function say(lines)
  for line in string.gmatch(told and lines or '', '[^\n]+') do
    local own, data = string.match(line, '^(%S+) (.*)$')
    if own then
      said = said + 1
      hub_append(hub, redis.sha1hex(ARGV[10] .. said), ARGV[11], own, data)
    end
  end
end

local function changes()
  local at = 12
  while ARGV[at] do
    local subscriber = ARGV[at + 1]
    if ARGV[at] == '+' then
      if call('HSET', mine, subscriber, ARGV[at + 2]) == 1 then say(ARGV[at + 3]) end
      at = at + 4
    else
      local ends = call('HGET', mine, subscriber)
      if ends then
        call('HDEL', mine, subscriber)
        say(ends)
      end
      at = at + 2
    end
  end
end

-- Some at a time: a node may have held thousands.
local function bury(node)
  local theirs, gone = base .. node, 0
  if not told then
    call('DEL', theirs)
  else
    local page = call('HSCAN', theirs, '0', 'COUNT', MOST)
    for n = 1, #page[2], 2 do
      call('HDEL', theirs, page[2][n])
      say(page[2][n + 1])
      gone = gone + 1
    end
    if call('HLEN', theirs) > 0 then return true end
  end
  call('ZREM', nodes, node)
  return false
end

local more = false
local failure = attempt(function()
  changes()
  for _, node in ipairs(call('ZRANGEBYSCORE', nodes, '-inf', '(' .. now, 'LIMIT', 0, 4)) do
    more = bury(node) or more
  end
end)
if failure then return failure end
return more and 2 or 1
