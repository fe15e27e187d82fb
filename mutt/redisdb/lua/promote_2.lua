-- PROMOTE: moves the retries that are due to the old end of their queue.
--
-- KEYS[1] retry set (sorted set; the score is the time in ms when the message is due, by Redis's clock)
-- KEYS[2] queue
-- ARGV[1] most messages to move
-- Returns {messages moved, milliseconds until the next one is due or -1 when none waits}.
--
-- Atomic, because between the two writes the message would be nowhere. ZREM comes first: permitted at maxmemory.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms, 'LIMIT', 0, ARGV[1])
for _, message in ipairs(due) do
  redis.call('ZREM', KEYS[1], message)
  redis.call('RPUSH', KEYS[2], message)
end
local next_due = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if #next_due == 0 then
  return {#due, -1}
end
return {#due, math.max(0, math.floor(next_due[2] - now_ms))}
