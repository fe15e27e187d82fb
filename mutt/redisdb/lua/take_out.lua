-- TAKE OUT: moves dead letters out of their list: to a queue, into its retry set, or nowhere.
--
-- KEYS[1] dead letters (list; the oldest one is at its right end)
-- KEYS[2...] pairs: a queue (list; new messages go to its left end) and its retry set (sorted set, due times in ms)
-- ARGV    groups of five, each a letter: its place counted from the oldest (1), the letter as it was seen there,
--         the number of its pair of keys (0: it is discarded), when its message is due (0: at once), its message
-- Returns a list with one number a letter: 1 taken out, 0 not at its place, -1 the same message waits already.
--
-- Atomic, because between its list and its queue a letter would be nowhere, and because whoever takes it out of the
-- list (another operator, remediation) is the one who replays it. Places change only when older letters are taken
-- out. A set cannot hold one message twice, so the second one stays where it is.
-- The LTRIM trims nothing: Redis permits it at maxmemory, which lifts the check for what follows. Letters are marked
-- first and removed together, so that Redis passes the older ones once and not once for each letter.
local MARK = '\0taken out'
local first, last = math.huge, 0
for i = 1, #ARGV, 5 do
  first, last = math.min(first, ARGV[i]), math.max(last, ARGV[i])
end
local seen = redis.call('LRANGE', KEYS[1], -last, -first)
redis.call('LTRIM', KEYS[1], 0, -1)
local outcomes, taken = {}, 0
for i = 1, #ARGV, 5 do
  local place, letter, pair = tonumber(ARGV[i]), ARGV[i + 1], tonumber(ARGV[i + 2])
  local due, message = tonumber(ARGV[i + 3]), ARGV[i + 4]
  -- A list that has become shorter than the last place is seen from its newest letter on.
  if seen[#seen - (place - first)] ~= letter then
    outcomes[#outcomes + 1] = 0
  elseif due > 0 and redis.call('ZSCORE', KEYS[2 * pair + 1], message) then
    outcomes[#outcomes + 1] = -1
  else
    redis.call('LSET', KEYS[1], -place, MARK)
    taken = taken + 1
    if pair > 0 and due > 0 then
      redis.call('ZADD', KEYS[2 * pair + 1], due, message)
    elseif pair > 0 then
      redis.call('LPUSH', KEYS[2 * pair], message)
    end
    outcomes[#outcomes + 1] = 1
  end
end
if taken > 0 then
  redis.call('LREM', KEYS[1], -taken, MARK)
end
return outcomes
