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
--   hits      last yesterday today tomorrow day expiry_ms n (rule amount)...
--             n rules and how many events each decided: into the hash of the day by Redis's own clock, and the time
--             into the hash last. `day` is the number of the caller's day since 1970; the three hashes are around it.
--   unhandled other index alerts ignored threshold expiry_ms most head tail n
--             (key details amount head tail pattern source m sample...)...
--             n counters of unmatched events; a counter that reaches the threshold pushes head .. count .. tail to
--             the list alerts, once until it expires, unless the hash ignored knows the pattern by the last 16
--             characters of its counter's name. Beyond `most` counters the amount goes to the counter other. The
--             hash details expires with its counter and keeps the pattern, its source, the times in ms when it was
--             first and last seen and when it raised its alert, and the first three different samples.
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

local function hits()
  local last, days = next_key(), {next_key(), next_key(), next_key()}
  local of_caller, expiry_ms = tonumber(next_argument()), next_argument()
  local today = days[math.min(math.max(math.floor(now_ms / 86400000) - of_caller + 2, 1), 3)]
  for _ = 1, tonumber(next_argument()) do
    local rule = next_argument()
    redis.call('HINCRBY', today, rule, next_argument())
    redis.call('HSET', last, rule, string.format('%d', now_ms))
  end
  redis.call('PEXPIRE', today, expiry_ms)
end

local function keep_samples(details, samples)
  if redis.call('HEXISTS', details, '3') == 1 then
    return
  end
  local kept = redis.call('HMGET', details, '1', '2', '3')
  for _, sample in ipairs(samples) do
    for place = 1, 3 do
      if kept[place] == sample then
        break
      elseif not kept[place] then
        kept[place] = sample
        redis.call('HSET', details, place, sample)
        break
      end
    end
  end
end

local function keep_details(key, is_new, details, pattern, source, samples)
  if is_new then
    redis.call('DEL', details)
  end
  local seen = string.format('%d', now_ms)
  if redis.call('HSET', details, 'last', seen) == 1 then
    redis.call('HSET', details, 'first', seen, 'pattern', pattern, 'source', source)
    -- A counter that an older release began has no details yet; they end with it all the same.
    redis.call('PEXPIRE', details, math.max(1, redis.call('PTTL', key)))
  end
  keep_samples(details, samples)
end

local function unhandled()
  local other, index, alerts, ignored = next_key(), next_key(), next_key(), next_key()
  local threshold, expiry_ms, most = tonumber(next_argument()), tonumber(next_argument()), tonumber(next_argument())
  local other_head, other_tail = next_argument(), next_argument()
  for _ = 1, tonumber(next_argument()) do
    local key, details = next_key(), next_key()
    local amount, head, tail = tonumber(next_argument()), next_argument(), next_argument()
    local pattern, source, samples = next_argument(), next_argument(), {}
    for i = 1, tonumber(next_argument()) do
      samples[i] = next_argument()
    end
    if redis.call('EXISTS', key) == 0 then
      redis.call('ZREMRANGEBYSCORE', index, '-inf', now_ms)
      if redis.call('ZCARD', index) >= most then
        key, head, tail, details = other, other_head, other_tail, nil
      else
        redis.call('ZADD', index, now_ms + expiry_ms, key)
      end
    end
    local total = count(key, amount, expiry_ms)
    if details then
      keep_details(key, total == amount, details, pattern, source, samples)
    end
    local crossed = total >= threshold and total - amount < threshold
    if crossed and redis.call('HEXISTS', ignored, string.sub(key, -16)) == 0 then
      redis.call('LPUSH', alerts, head .. total .. tail)
      if details then
        redis.call('HSET', details, 'alerted', string.format('%d', now_ms))
      end
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
  elseif step == 'hits' then
    hits()
  elseif step == 'unhandled' then
    unhandled()
  end
end
return 'SETTLED'
