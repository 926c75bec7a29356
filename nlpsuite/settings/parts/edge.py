"""The way in: who is at the other end, and how much of one process one caller may hold."""

from __future__ import annotations

from nlpsuite.settings import env
from nlpsuite.settings.parts.inference import NLPSUITE_ROLE

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
# Sockets of one process: in all, and of one address. Each open chat and each page of the inbox is one: an office behind one
# address has 256 of them.
SOCKETS = env.env_int("SOCKETS", 10_000)
SOCKETS_PER_ADDRESS = env.env_int("SOCKETS_PER_ADDRESS", 256)
# New sockets of one address a minute, a third of them at once, as after a restart.
HANDSHAKES_PER_MINUTE = env.env_int("HANDSHAKES_PER_MINUTE", 600)
# Visitors' sockets of one inbox in one process.
SOCKETS_PER_INBOX = env.env_int("SOCKETS_PER_INBOX", 5_000)
# Sockets of one member of staff (a tab each), and of one API key, in one process.
STAFF_SOCKETS_PER_USER = env.env_int("STAFF_SOCKETS_PER_USER", 20)
STAFF_SOCKETS_PER_KEY = env.env_int("STAFF_SOCKETS_PER_KEY", 200)
# A minute over all processes, and which part of it (1/burst_share) at one moment. A greeting is a hello of a socket, a
# visitor is one whose first message begins a conversation. A whole office writes less than its address may; what they
# stop is a script, whose every conversation costs an answer of the model.
VISITOR_LIMITS = {
    "greeting": {
        "per_address": env.env_int("GREETINGS_PER_ADDRESS", 600),
        "per_inbox": env.env_int("GREETINGS_PER_INBOX", 9_000),
        "burst_share": 3,
    },
    "visitor": {
        "per_address": env.env_int("VISITORS_PER_ADDRESS", 60),
        "per_inbox": env.env_int("VISITORS_PER_INBOX", 600),
        "burst_share": 2,
    },
    "message": {
        "per_address": env.env_int("MESSAGES_PER_ADDRESS", 3_000),
        "per_inbox": env.env_int("MESSAGES_PER_INBOX", 12_000),
        "burst_share": 25,
    },
}
# Language tasks on texts longer than a long e-mail leave the web process for processes of their own (apps/core/offload.py).
# They wait for the models most of the time; each takes some 20 MB beside what all share.
OFFLOAD_CHARS = 4_000
OFFLOAD_PROCESSES = env.env_int("OFFLOAD_PROCESSES", 8) if NLPSUITE_ROLE == "web" else 0
