-- EXPIRE: takes old dead letters out of their list and puts them aside, to be archived.
--
-- KEYS[1] list of dead letters
-- KEYS[2] list of those put aside
-- ARGV    the dead letters, as they were seen in the list
-- Returns how many were there and are put aside now.
--
-- Atomic, because between the two lists a dead letter would be nowhere, and because remediation or a person may have
-- taken it since it was seen: then it is not put aside. The search begins at the old end. The first write is an LREM,
-- which Redis permits at maxmemory.
local moved = 0
for i = 1, #ARGV do
  if redis.call('LREM', KEYS[1], -1, ARGV[i]) == 1 then
    redis.call('LPUSH', KEYS[2], ARGV[i])
    moved = moved + 1
  end
end
return moved
