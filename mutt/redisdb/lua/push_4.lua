-- PUSH: takes a whole batch of accepted events into the ingest queue, or none of it.
--
-- KEYS[1] ingest queue (list; new messages go to its left end)
-- KEYS[2] counter of events accepted in this minute
-- KEYS[3] counter of all events accepted
-- KEYS[4] dead letters of ingest (list)
-- ARGV[1] most messages the queue may hold
-- ARGV[2] most dead letters that are kept
-- ARGV[3] 1 when the batch must not be taken without its dead letters (the relays' route), else 0
-- ARGV[4] number of events, followed by the events and then by the dead letters
-- Returns {outcome, depth of the queue}; outcome 1 taken, 0 the queue is full, -1 the dead letters are full.
--
-- Atomic, because the cap must hold with many ingest processes and because a 202 covers the whole batch.
-- Its first write is an LPUSH on purpose: at maxmemory Redis refuses it, and the source is told to wait.
local events = tonumber(ARGV[4])
local first, last = 5, 4 + events
local depth = redis.call('LLEN', KEYS[1])
if events > 0 and depth + events > tonumber(ARGV[1]) then
  return {0, depth}
end
local letters = #ARGV - last
if letters > 0 then
  local room = tonumber(ARGV[2]) - redis.call('LLEN', KEYS[4])
  if room < letters then
    if ARGV[3] == '1' then
      return {-1, depth}
    end
    letters = math.max(room, 0)
  end
end
-- unpack() takes some 8,000 values at the most.
for from = first, last, 1000 do
  redis.call('LPUSH', KEYS[1], unpack(ARGV, from, math.min(from + 999, last)))
end
for from = last + 1, last + letters, 1000 do
  redis.call('LPUSH', KEYS[4], unpack(ARGV, from, math.min(from + 999, last + letters)))
end
if events > 0 then
  if redis.call('INCRBY', KEYS[2], events) == events then
    redis.call('EXPIRE', KEYS[2], 90000)
  end
  redis.call('INCRBY', KEYS[3], events)
end
return {1, depth + events}
