-- The lines of an archive, as they were copied out.
COPY restored_lines FROM STDIN WITH (FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01')
