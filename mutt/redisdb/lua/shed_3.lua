-- SHED: parks the oldest events while the alert queue is too deep.
--
-- KEYS[1] ingest queue
-- KEYS[2] alert queue
-- KEYS[3] dead letters of the alerter, where the events are parked
-- ARGV[1] depth of the alert queue from which events are parked
-- ARGV[2...] pairs: an event as it was seen at the old end of the queue, oldest first, and its dead letter
-- Returns {depth of the alert queue, events parked}.
--
-- Atomic, because the depth must still be too great when the events are moved, and because between the two lists
-- they would be nowhere. It stops at the first event that is not the expected one: another worker was quicker.
-- The first write is an RPOP, which Redis permits at maxmemory.
local depth = redis.call('LLEN', KEYS[2])
local parked = 0
if depth < tonumber(ARGV[1]) then
  return {depth, 0}
end
for i = 2, #ARGV, 2 do
  if redis.call('LINDEX', KEYS[1], -1) ~= ARGV[i] then
    break
  end
  redis.call('RPOP', KEYS[1])
  redis.call('LPUSH', KEYS[3], ARGV[i + 1])
  parked = parked + 1
end
return {depth, parked}
