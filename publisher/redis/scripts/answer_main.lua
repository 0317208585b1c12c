-- Pieces of one answer.
-- KEYS: log meta ids0 ids1 state answer
-- ARGV: announce pubsub history_events history_ttl_s | retry epoch | job_id_json
--       | worker_json (or '': a caller without a hold on the job) | bytes that have to be there (-1: any) | limit in bytes
--       | traceparent (or '') | for each piece its five
local FIRST_PIECE = 12
local ch = { log = KEYS[1], meta = KEYS[2], ids0 = KEYS[3], ids1 = KEYS[4],
  announce = ARGV[1], pubsub = ARGV[2], history = ARGV[3], ttl = ARGV[4] }
local a = { retry = ARGV[5], epoch = ARGV[6], job_id_json = ARGV[7], worker = ARGV[8], expected = tonumber(ARGV[9]),
  trace = ARGV[11], state = KEYS[5], answer = KEYS[6] }
local reply
local failure = attempt(function() reply = append_pieces(ch, a, tonumber(ARGV[10]), FIRST_PIECE, #ARGV) end)
if failure then return failure end
kept(ch, a)
return reply
