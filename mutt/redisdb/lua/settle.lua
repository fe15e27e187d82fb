-- SETTLE: ends a batch and does all that follows from it, or nothing when the batch is no longer ours.
--
-- KEYS[1] list of the batch
-- KEYS[2] done marker of the batch
-- KEYS[3] hash of returned messages
-- KEYS[4...] the keys that the steps below name by their number (4 is the first)
-- ARGV[1] milliseconds the done marker is kept
-- ARGV[2...] steps, one after another:
--   push      key n message...            n messages to the new (left) end of a list
--   return    key n message...            n messages to the old (right) end of a list, given oldest first
--   delay     key n (delay_ms message)... n messages into a retry set, due after delay_ms
--   add       key amount                  a counter
--   unhandled other index alerts threshold expiry_ms most head tail n (key amount head tail)...
--             n counters of unmatched events; a counter that reaches the threshold pushes head .. count .. tail to
--             the list alerts, once until it expires. Beyond `most` counters the amount goes to the counter other.
-- Returns SETTLED, ALREADY (this batch was settled before and the reply was lost) or FENCED (the janitor has it).
--
-- Atomic, because a kill between two of these writes would lose a message or do it twice. The first write is a DEL,
-- which Redis permits at maxmemory: a full Redis can always drain.
local suspects = redis.call('EXISTS', KEYS[3]) == 1 and redis.call('LRANGE', KEYS[1], 0, -1) or {}
if redis.call('DEL', KEYS[1]) == 0 then
  return redis.call('EXISTS', KEYS[2]) == 1 and 'ALREADY' or 'FENCED'
end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
for _, message in ipairs(suspects) do
  redis.call('HDEL', KEYS[3], redis.sha1hex(message))
end

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local at = 2
local function next_argument()
  at = at + 1
  return ARGV[at - 1]
end
local function next_key()
  return KEYS[tonumber(next_argument())]
end

local function push(command)
  local key, n = next_key(), tonumber(next_argument())
  for from = at, at + n - 1, 1000 do
    redis.call(command, key, unpack(ARGV, from, math.min(from + 999, at + n - 1)))
  end
  at = at + n
end

local function give_back()
  local key, n = next_key(), tonumber(next_argument())
  for i = at + n - 1, at, -1 do
    redis.call('RPUSH', key, ARGV[i])
  end
  at = at + n
end

local function delay()
  local key, n = next_key(), tonumber(next_argument())
  for _ = 1, n do
    local due = now_ms + tonumber(next_argument())
    redis.call('ZADD', key, due, next_argument())
  end
end

local function count(key, amount, expiry_ms)
  local total = redis.call('INCRBY', key, amount)
  if total == amount then
    redis.call('PEXPIRE', key, expiry_ms)
  end
  return total
end

local function unhandled()
  local other, index, alerts = next_key(), next_key(), next_key()
  local threshold, expiry_ms, most = tonumber(next_argument()), tonumber(next_argument()), tonumber(next_argument())
  local other_head, other_tail = next_argument(), next_argument()
  for _ = 1, tonumber(next_argument()) do
    local key, amount, head, tail = next_key(), tonumber(next_argument()), next_argument(), next_argument()
    if redis.call('EXISTS', key) == 0 then
      redis.call('ZREMRANGEBYSCORE', index, '-inf', now_ms)
      if redis.call('ZCARD', index) >= most then
        key, head, tail = other, other_head, other_tail
      else
        redis.call('ZADD', index, now_ms + expiry_ms, key)
      end
    end
    local total = count(key, amount, expiry_ms)
    if total >= threshold and total - amount < threshold then
      redis.call('LPUSH', alerts, head .. total .. tail)
    end
  end
end

while at <= #ARGV do
  local step = next_argument()
  if step == 'push' then
    push('LPUSH')
  elseif step == 'return' then
    give_back()
  elseif step == 'delay' then
    delay()
  elseif step == 'add' then
    redis.call('INCRBY', next_key(), next_argument())
  elseif step == 'unhandled' then
    unhandled()
  end
end
return 'SETTLED'
