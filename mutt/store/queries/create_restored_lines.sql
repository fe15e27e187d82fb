-- Takes the lines of an archive, until the end of the transaction.
CREATE TEMPORARY TABLE restored_lines (line json NOT NULL) ON COMMIT DROP
