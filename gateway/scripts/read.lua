-- A channel as it is at one moment. Writes nothing.
-- KEYS: log meta [state] or [jobs active]
-- ARGV: after ('' reads no events) max_bytes what ('' | 'state' | 'active' | 'jobs') max_jobs
-- Reply: {epoch, seq, mark, {message …}, more ('1' or '0'), {state fields and values | job ids …}}
local meta = redis.call('HMGET', KEYS[2], 'epoch', 'seq', 'mark')
local messages, more, size = {}, '0', 0
if ARGV[1] ~= '' and meta[2] then
  local from, limit = ARGV[1], tonumber(ARGV[2])
  repeat
    local page = redis.call('XRANGE', KEYS[1], '(' .. from .. '-0', '+', 'COUNT', 32)
    for _, entry in ipairs(page) do
      if size > limit then more = '1' break end
      messages[#messages + 1] = entry[2][2]
      size = size + #entry[2][2]
      from = string.match(entry[1], '^%d+')
    end
  until #page < 32 or more == '1'
end
local rest = {}
if ARGV[3] == 'state' then
  rest = redis.call('HGETALL', KEYS[3])
elseif ARGV[3] == 'active' then
  rest = redis.call('ZRANGE', KEYS[4], -tonumber(ARGV[4]), -1)
elseif ARGV[3] == 'jobs' then
  rest = redis.call('ZRANGE', KEYS[3], -tonumber(ARGV[4]), -1)
end
return { meta[1] or '', meta[2] or '0', meta[3] or '-', messages, more, rest }
