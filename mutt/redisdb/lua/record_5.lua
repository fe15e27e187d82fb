-- RECORD: tells the circuit breaker how a request ended.
--
-- KEYS[1] state of the circuit
-- KEYS[2] consecutive failures
-- KEYS[3] when the circuit opened, Unix time in seconds
-- KEYS[4] lease of the probe
-- KEYS[5] hold
-- ARGV[1] 1 success, 0 failure
-- ARGV[2] 1 when the request was the probe
-- ARGV[3] consecutive failures that open the circuit
-- ARGV[4] milliseconds that everybody shall wait (Retry-After), 0 for none
-- Returns {state, 1 when the failure counts against the alerts of the request}.
--
-- Atomic, because many forwarders report at once and only one failure may open the circuit. A failure that opens it,
-- that of the probe and those that come in while it is open are the receiver's: they use up nobody's attempts.
-- The DEL comes first because Redis permits it at maxmemory, which lifts the check for what follows.
local probe = ARGV[2] == '1'
local state = redis.call('GET', KEYS[1]) or 'CLOSED'
redis.call('DEL', probe and KEYS[4] or KEYS[4] .. ':none')

local function open()
  local time = redis.call('TIME')
  redis.call('SET', KEYS[1], 'OPEN')
  redis.call('SET', KEYS[3], string.format('%d.%06d', time[1], time[2]))
  redis.call('DEL', KEYS[2])
  return {'OPEN', 0}
end

if ARGV[1] == '1' then
  if probe and state == 'HALF_OPEN' then
    redis.call('SET', KEYS[1], 'CLOSED')
    redis.call('DEL', KEYS[2], KEYS[3])
    return {'CLOSED', 0}
  end
  if state == 'CLOSED' then
    redis.call('DEL', KEYS[2])
  end
  return {state, 0}
end

-- Of two requests to wait the longer one counts.
if tonumber(ARGV[4]) > redis.call('PTTL', KEYS[5]) and tonumber(ARGV[4]) > 0 then
  redis.call('SET', KEYS[5], '1', 'PX', ARGV[4])
end
if probe and state == 'HALF_OPEN' then
  return open()
end
if state ~= 'CLOSED' then
  return {state, 0}
end
if redis.call('INCR', KEYS[2]) >= tonumber(ARGV[3]) then
  return open()
end
return {'CLOSED', 1}
