-- Makes a table the partition of a range. Fails when the default partition holds a row of it.
ALTER TABLE {parent} ATTACH PARTITION {partition} FOR VALUES FROM (%s) TO (%s)
