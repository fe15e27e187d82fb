-- Makes the partition of a month and moves into it what the default partition has of that month.
SELECT create_partition_of(%s, %s, %s::date)
