-- JANITOR: gives the batch of a dead process back to the old end of its queue, in its order.
--
-- KEYS[1] list of the batch
-- KEYS[2] heartbeat of the process that claimed it
-- KEYS[3] queue
-- KEYS[4] hash of returned messages: SHA-1 of the message -> how often it came back
-- KEYS[5] dead letters
-- ARGV[1] returns after which a message is a dead letter
-- ARGV[2...] pairs: the SHA-1 of a message that has come back almost as often, and its dead letter
-- Returns {messages given back, messages buried}.
--
-- Atomic, because the heartbeat must be looked at in the same instant as the batch is taken: its owner may be about
-- to settle it. The first write is a DEL, which Redis permits at maxmemory. A message whose dead letter is not among
-- the arguments (somebody else swept in between) goes back once more.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return {0, 0}
end
local batch = redis.call('LRANGE', KEYS[1], 0, -1)
if #batch == 0 then
  return {0, 0}
end
redis.call('DEL', KEYS[1])
local letters, returns, buried = {}, {}, 0
for i = 2, #ARGV, 2 do
  letters[ARGV[i]] = ARGV[i + 1]
end
for i = #batch, 1, -1 do
  local digest = redis.sha1hex(batch[i])
  -- Equal messages came back once together, not once each.
  returns[digest] = returns[digest] or redis.call('HINCRBY', KEYS[4], digest, 1)
  if returns[digest] >= tonumber(ARGV[1]) and letters[digest] then
    redis.call('LPUSH', KEYS[5], letters[digest])
    redis.call('HDEL', KEYS[4], digest)
    buried = buried + 1
  else
    redis.call('RPUSH', KEYS[3], batch[i])
  end
end
-- Counts of messages that were discarded by hand must not stay for ever.
redis.call('EXPIRE', KEYS[4], 86400)
return {#batch - buried, buried}
