-- PERMIT: asks whether one request may leave for the webhook now.
--
-- KEYS[1] rate limit (sorted set; one member a permit, the score is when it was given, in microseconds)
-- KEYS[2] state of the circuit (CLOSED, OPEN, HALF_OPEN; absent is CLOSED)
-- KEYS[3] when the circuit opened, Unix time in seconds
-- KEYS[4] lease of the probe
-- KEYS[5] hold: exists while the receiver's Retry-After asks everybody to wait
-- ARGV[1] permits per window
-- ARGV[2] window in microseconds
-- ARGV[3] milliseconds an open circuit stays shut before it is probed
-- ARGV[4] lease of the probe in milliseconds
-- ARGV[5] a name for this permit that no other has
-- Returns {answer, wait in ms}; answer GO, PROBE, or why not: HELD, OPEN, RATE.
--
-- Atomic and on Redis's clock, because all forwarders share one limit and exactly one of them may probe.
-- The first write is a ZREMRANGEBYSCORE, which Redis permits at maxmemory.
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]

local held = redis.call('PTTL', KEYS[5])
if held > 0 then
  return {'HELD', held}
end

local state = redis.call('GET', KEYS[2]) or 'CLOSED'
if state == 'OPEN' then
  local opened_at = tonumber(redis.call('GET', KEYS[3]) or '0')
  local wait_ms = math.ceil(opened_at * 1000 + tonumber(ARGV[3]) - now_us / 1000)
  if wait_ms > 0 then
    return {'OPEN', wait_ms}
  end
elseif state == 'HALF_OPEN' then
  local lease = redis.call('PTTL', KEYS[4])
  if lease > 0 then
    return {'OPEN', lease}
  end
end

local window_us = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_us - window_us)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then
  local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  return {'RATE', math.max(1, math.ceil((oldest[2] + window_us - now_us) / 1000))}
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now_us), ARGV[5])
redis.call('PEXPIRE', KEYS[1], math.ceil(window_us / 1000) + 1000)
if state == 'CLOSED' then
  return {'GO', 0}
end
redis.call('SET', KEYS[2], 'HALF_OPEN')
redis.call('SET', KEYS[4], ARGV[5], 'PX', ARGV[4])
return {'PROBE', 0}
