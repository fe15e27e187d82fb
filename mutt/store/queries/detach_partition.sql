-- Makes a partition a table of its own. CONCURRENTLY is not possible beside a default partition.
ALTER TABLE {parent} DETACH PARTITION {partition}
