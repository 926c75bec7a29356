"""Routes of /api/v1: `jobs` (batches), `conversations` (search by meaning, translations)."""
