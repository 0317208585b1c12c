-- Pieces of several answers, each of them once; not in Cluster. What follows a failure is not touched.
-- KEYS: per answer log meta ids0 ids1 state answer
-- ARGV: announce history_events history_ttl_s limit answers
--       | per answer: pubsub retry epoch job_id_json worker_json expected traceparent, how many pieces, their five each
-- Reply: per answer as answer_main.lua's; shorter, and an error at its end, where one failed
local replies, written, at = {}, {}, 6
local function all()
  for n = 1, tonumber(ARGV[5]) do
    local key = 6 * n - 5
    local ch = { log = KEYS[key], meta = KEYS[key + 1], ids0 = KEYS[key + 2], ids1 = KEYS[key + 3],
      announce = ARGV[1], pubsub = ARGV[at], history = ARGV[2], ttl = ARGV[3] }
    local a = { retry = ARGV[at + 1], epoch = ARGV[at + 2], job_id_json = ARGV[at + 3], worker = ARGV[at + 4],
      expected = tonumber(ARGV[at + 5]), trace = ARGV[at + 6], state = KEYS[key + 4], answer = KEYS[key + 5] }
    local from = at + 8
    at = from + FIELDS_EACH * tonumber(ARGV[at + 7])
    replies[n] = append_pieces(ch, a, tonumber(ARGV[4]), from, at - 1)
    written[n] = { ch, a }
  end
end

local failure = attempt(all)
for _, pair in ipairs(written) do kept(pair[1], pair[2]) end
if failure then replies[#replies + 1] = failure end
return replies
