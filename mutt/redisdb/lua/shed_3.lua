-- SHED: parks the oldest events while the alert queue is too deep.
--
-- KEYS[1] ingest queue
-- KEYS[2] alert queue
-- KEYS[3] dead letters of the alerter, where the events are parked
-- ARGV[1] depth of the alert queue from which events are parked
-- ARGV[2] most events to park, 0 to only look
-- ARGV[3] and ARGV[4] what stands before and after the event in its dead letter
-- Returns {depth of the alert queue, events parked}.
--
-- Atomic, because the depth must still be too great when the events are moved, and because between the two lists
-- they would be nowhere. The first write is an RPOP, which Redis permits at maxmemory.
local depth = redis.call('LLEN', KEYS[2])
local most = tonumber(ARGV[2])
if depth < tonumber(ARGV[1]) or most == 0 then
  return {depth, 0}
end
local events = redis.call('RPOP', KEYS[1], most) or {}
for _, event in ipairs(events) do
  local payload = pcall(cjson.decode, event) and event or cjson.encode(event)
  redis.call('LPUSH', KEYS[3], ARGV[3] .. payload .. ARGV[4])
end
return {depth, #events}
