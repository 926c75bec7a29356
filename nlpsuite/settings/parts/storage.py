"""Stored files: how much room is left to the rest of the installation."""

from __future__ import annotations

from nlpsuite.settings import env

# Below so much free room beside DATA_DIR nothing is stored any more. PostgreSQL lies there too and stops for everybody
# when it cannot write its log (16 MB a segment): chat lives on this reserve.
STORAGE_RESERVE_MB = env.env_int("STORAGE_RESERVE_MB", 256)
# The same for the folder of temporary files, where uploads wait while they are received.
STORAGE_TEMPORARY_RESERVE_MB = env.env_int("STORAGE_TEMPORARY_RESERVE_MB", 16)
