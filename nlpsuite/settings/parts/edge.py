"""The way in: who is at the other end, and how much of one process one caller may hold."""

from __future__ import annotations

from nlpsuite.settings import env

# Only these peers are believed about whom they speak for (X-Forwarded-For, X-Forwarded-Proto).
TRUSTED_PROXIES = env.env_networks("TRUSTED_PROXIES")
