-- Plain events on one or more channels, in order; in Cluster of one channel. What follows a failure is not touched.
-- KEYS: per channel log meta ids0 ids1 [state of a job's channel]
-- ARGV: announce history_events history_ttl_s channels | per channel: pubsub epoch has_state ('1' or '0')
--       | per event: channel (1, 2 …) uid retry id type data must_exist traceparent (or '')
-- Reply: per event as publish.lua's; shorter, and an error at its end, where one failed
local channels, key = {}, 1
local at = 5
for n = 1, tonumber(ARGV[4]) do
  channels[n] = { log = KEYS[key], meta = KEYS[key + 1], ids0 = KEYS[key + 2], ids1 = KEYS[key + 3],
    announce = ARGV[1], history = ARGV[2], ttl = ARGV[3], pubsub = ARGV[at], candidate = ARGV[at + 1] }
  if ARGV[at + 2] == '1' then channels[n].state = KEYS[key + 4] end
  key = key + 4 + tonumber(ARGV[at + 2])
  at = at + 3
end

local replies = {}
local function all()
  for first = at, #ARGV, 8 do
    local ch = channels[tonumber(ARGV[first])]
    replies[#replies + 1] = plain(ch, { uid = ARGV[first + 1], retry = ARGV[first + 2], epoch = ch.candidate,
      id = ARGV[first + 3], type = ARGV[first + 4], data = ARGV[first + 5], trace = ARGV[first + 7] },
      ARGV[first + 6])
  end
end

local failure = attempt(all)
if failure then replies[#replies + 1] = failure end
return replies
