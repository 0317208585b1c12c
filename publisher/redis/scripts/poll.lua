-- A poller's turn: gives back the jobs that it has asked for, keeps those that it still asks for, and takes those whose
-- turn it is. What nobody keeps for a lease is taken by whoever comes next.
-- KEYS: due (sorted set by ms) jobs (hash: job id -> since_ms errors holder; '' -> a mark that is gone with the rest)
-- ARGV: holder lease_ms limit releases, per release: job_id errors due_ms, per hold: held
-- Reply: {now_ms, ms until the next turn of any job or -1, mark, job_id, since_ms, errors … of each that was taken}
local LOOK_MS = 86400000                          -- due may be infinite: whoever may write to Redis may have written it
local due, jobs, holder = KEYS[1], KEYS[2], ARGV[1]
local call = redis.call
local clock = call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local function whole(number) return string.format('%.0f', number) end
local lease_end = whole(now + tonumber(ARGV[2]))

-- Numbers beyond these no poller has written, and none could reckon with them.
local function known(id)
  local since, errors, by = string.match(call('HGET', jobs, id) or '', '^(%d+) (%d+) (%S+)$')
  if since and #since <= 15 and #errors <= 15 then return since, errors, by end
end

local function forget(id)
  call('ZREM', due, id)
  call('HDEL', jobs, id)
end

local at = 5
for _ = 1, tonumber(ARGV[4]) do
  local id, errors, next_ms = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local since, _, by = known(id)
  if by == holder then                            -- else another poller has taken it over meanwhile
    if next_ms == '-1' then
      forget(id)
    else
      call('HSET', jobs, id, since .. ' ' .. errors .. ' -')
      call('ZADD', due, next_ms, id)
    end
  end
  at = at + 3
end

for n = at, #ARGV do
  local _, _, by = known(ARGV[n])
  if by == holder then call('ZADD', due, lease_end, ARGV[n]) end
end

local mark = call('HGET', jobs, '')
if not mark then                                  -- new, or everything was lost: whoever knows a job puts it back
  mark = holder .. ':' .. whole(now)
  call('HSET', jobs, '', mark)
end
local reply = { whole(now), '-1', mark }
local limit = tonumber(ARGV[3])
if limit > 0 then
  for _, id in ipairs(call('ZRANGEBYSCORE', due, '-inf', whole(now), 'LIMIT', 0, limit)) do
    local since, errors = known(id)
    if since then
      call('HSET', jobs, id, since .. ' ' .. errors .. ' ' .. holder)
      call('ZADD', due, lease_end, id)
      for _, value in ipairs({ id, since, errors }) do reply[#reply + 1] = value end
    else
      forget(id)                                  -- what no poller has written
    end
  end
end
local first = call('ZRANGE', due, 0, 0, 'WITHSCORES')
if first[2] then reply[2] = whole(math.min(math.max(0, tonumber(first[2]) - now), LOOK_MS)) end
return reply
