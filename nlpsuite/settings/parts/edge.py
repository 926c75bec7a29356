"""The way in: who is at the other end, and how much of one process one caller may hold."""

from __future__ import annotations

from nlpsuite.settings import env

# Only these peers are believed about whom they speak for (X-Forwarded-For, X-Forwarded-Proto).
TRUSTED_PROXIES = env.env_networks("TRUSTED_PROXIES")
# What somebody may send who shows neither a key nor a session: a form (signing in, accepting an invitation, a report of
# the browser), never a file. It is received in memory.
UNKNOWN_BODY_BYTES = 64 * 1024
# LibreTranslate's clients send their key in the body, beside 200,000 characters that JSON may write as six bytes each.
UNKNOWN_KEY_BODY_BYTES = 2 * 1024 * 1024
# It must be there after so many seconds, or come at this pace; authenticated bodies have the bounds of BodyLimit.
UNKNOWN_BODY_S = 15.0
UNKNOWN_BODY_BYTES_PER_S = 16 * 1024
# Such bodies that one process receives at a time: of one address, and in all. The one that came first gives way.
UNKNOWN_BODIES_PER_ADDRESS = env.env_int("UNKNOWN_BODIES_PER_ADDRESS", 64)
UNKNOWN_BODIES = env.env_int("UNKNOWN_BODIES", 256)
# A request's line and headers: everybody's are there in a moment, and browsers send less than a tenth of the size.
REQUEST_HEAD_S = 10.0
REQUEST_HEAD_BYTES = 64 * 1024
# HTTP connections that one process holds of one address that is no trusted proxy. A browser has six at a time and they end
# 5 s after their last request: this is an office of 150 people who all load a page at the same moment.
CONNECTIONS_PER_ADDRESS = env.env_int("CONNECTIONS_PER_ADDRESS", 1000)
