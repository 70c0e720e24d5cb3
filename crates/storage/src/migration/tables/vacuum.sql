-- Lists are read from indexes alone, but for rows of pages that were written to since the last VACUUM. Left to itself PostgreSQL waits for a
-- fifth of all rows; at a million conversations one takes some seconds, most of which it sleeps.
ALTER TABLE conversations SET (
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0.002,
    autovacuum_vacuum_insert_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.002
);
ALTER TABLE contacts SET (
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0.002,
    autovacuum_vacuum_insert_threshold = 1000,
    autovacuum_vacuum_insert_scale_factor = 0.002
);
