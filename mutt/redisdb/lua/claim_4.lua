-- CLAIM: moves up to n messages from the old end of a queue to the list of one batch.
--
-- KEYS[1] list of the batch
-- KEYS[2] queue (list; the oldest message is at its right end)
-- KEYS[3] heartbeat of the claiming process, renewed with a new batch: it is the lease of the batch
-- KEYS[4] hash of returned messages: SHA-1 of the message -> how often it came back
-- ARGV[1] n
-- ARGV[2] lease in milliseconds
-- Returns the messages of the batch, oldest first.
--
-- Claiming again under the same batch id returns the same batch, so a lost reply strands nothing. A message that
-- came back twice is handed out alone: if it kills its worker, it must not take others with it.
-- The first write is an RPOP, which Redis permits at maxmemory; that lifts the check for the rest of the script.
local held = redis.call('LRANGE', KEYS[1], 0, -1)
if #held > 0 then
  return held
end

local take = tonumber(ARGV[1])
if take > 0 and redis.call('EXISTS', KEYS[4]) == 1 then
  local waiting = redis.call('LRANGE', KEYS[2], -take, -1)
  take = 0
  for i = #waiting, 1, -1 do
    local returned = tonumber(redis.call('HGET', KEYS[4], redis.sha1hex(waiting[i])) or '0')
    if returned >= 2 then
      take = math.max(take, 1)
      break
    end
    take = take + 1
  end
end

local batch = take > 0 and redis.call('RPOP', KEYS[2], take)
if not batch then
  return {}
end
for from = 1, #batch, 1000 do
  redis.call('RPUSH', KEYS[1], unpack(batch, from, math.min(from + 999, #batch)))
end
redis.call('SET', KEYS[3], redis.call('TIME')[1], 'PX', ARGV[2])
return batch
