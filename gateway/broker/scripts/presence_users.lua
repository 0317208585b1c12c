-- How many streams each user has on which node, all in one hash: who comes costs the same beside two nodes and beside
-- three hundred. A field holds "node generation streams;" for each node that has some. What stands there of a node that
-- is gone, or of an older generation, counts for nobody; it goes when the user comes or goes, or when a node sweeps past.
-- KEYS[3]: the hash
local SWEEP = 50
local users = KEYS[3]
local generations = {}
local function stands(node, generation)
  if generations[node] == nil then generations[node] = try('HGET', base .. node, 'generation') or false end
  return generations[node] == generation
end

-- What of it still counts: as text, and the sum.
local function shares_in(text, left_out)
  local shares, sum = '', 0
  for node, generation, streams in string.gmatch(text, '(%w+) (%d+) (%d+);') do
    if node ~= left_out and stands(node, generation) then
      shares = shares .. node .. ' ' .. generation .. ' ' .. streams .. ';'
      sum = sum + number(streams)
    end
  end
  return shares, sum
end

local known = {}
local function elsewhere(user)
  if not known[user] then known[user] = { shares_in(try('HGET', users, user) or '', id) } end
  return known[user]
end

local function write(user, shares)
  if shares == '' then redis.call('HDEL', users, user) else redis.call('HSET', users, user, shares) end
end

local function share(user, generation, streams)
  local others = elsewhere(user)[1]
  write(user, streams > 0 and others .. id .. ' ' .. generation .. ' ' .. streams .. ';' or others)
end

-- Looks at some users, from a cursor on; returns the next one.
local function sweep(cursor)
  redis.call('PEXPIRE', users, KEEP_MS)
  local page = try('HSCAN', users, cursor, 'COUNT', SWEEP) or { '0', {} }
  for n = 1, #page[2], 2 do
    local shares = shares_in(page[2][n + 1], nil)
    if shares ~= page[2][n + 1] then write(page[2][n], shares) end
  end
  return page[1]
end
