"""Routes of /api/v1: `nlp` (the tasks) and `analysis/classifiers`."""
