-- A chat's newest answers. One that is there already keeps its place.
-- KEYS: chat (sorted set of job ids)
-- ARGV: job_id, how many are kept, ttl in seconds
-- Reply: the job id of the answer before this one, or ''
local call = redis.call
local key, id = KEYS[1], ARGV[1]
local look = redis.pcall('ZRANGE', key, 0, 0)
if look.err then
  if not string.find(look.err, 'WRONGTYPE', 1, true) then return look end
  call('DEL', key)
end

local all = call('ZRANGE', key, 0, -1, 'WITHSCORES')
local before = ''
for n = 1, #all, 2 do
  if all[n] == id then return before end
  before = all[n]
end
local clock = call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
-- Two in one millisecond, or a clock that was put back: the newest is still the last.
local newest = tonumber(all[#all]) or 0
if newest < 2 ^ 53 then now = math.max(now, newest + 1) end
call('ZADD', key, string.format('%.0f', now), id)
call('ZREMRANGEBYRANK', key, 0, -tonumber(ARGV[2]) - 1)
call('EXPIRE', key, ARGV[3])
return before
