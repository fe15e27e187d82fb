-- JANITOR: gives the batch of a dead process back to the old end of its queue, in its order.
--
-- KEYS[1] list of the batch
-- KEYS[2] heartbeat of the process that claimed it
-- KEYS[3] queue
-- KEYS[4] hash of returned messages: SHA-1 of the message -> how often it came back
-- KEYS[5] dead letters
-- ARGV[1] returns after which a message is a dead letter
-- ARGV[2] and ARGV[3] what stands before and after the message in its dead letter
-- Returns {messages given back, messages buried}.
--
-- Atomic, because the heartbeat must be looked at in the same instant as the batch is taken: its owner may be about
-- to settle it. The first write is a DEL, which Redis permits at maxmemory.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return {0, 0}
end
local batch = redis.call('LRANGE', KEYS[1], 0, -1)
if #batch == 0 then
  return {0, 0}
end
redis.call('DEL', KEYS[1])
local buried = 0
for i = #batch, 1, -1 do
  local message = batch[i]
  local digest = redis.sha1hex(message)
  if redis.call('HINCRBY', KEYS[4], digest, 1) >= tonumber(ARGV[1]) then
    local payload = pcall(cjson.decode, message) and message or cjson.encode(message)
    redis.call('LPUSH', KEYS[5], ARGV[2] .. payload .. ARGV[3])
    redis.call('HDEL', KEYS[4], digest)
    buried = buried + 1
  else
    redis.call('RPUSH', KEYS[3], message)
  end
end
-- Counts of messages that were settled by older code or discarded by hand must not stay for ever.
redis.call('EXPIRE', KEYS[4], 86400)
return {#batch - buried, buried}
