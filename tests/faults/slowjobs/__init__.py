"""A kind of job for fault tests: it takes a while and leaves one row."""
