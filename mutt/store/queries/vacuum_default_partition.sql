-- Frees the place of the rows that were moved out.
VACUUM (ANALYZE) {fallback}
