"""The model routes for other programs: OpenAI's and TEI's shapes."""

from __future__ import annotations

from nlpsuite.settings import env

# How long a call may take, waiting included.
API_DEADLINE_S = env.env_int("API_DEADLINE_S", 120)
# The largest max_tokens that a caller may ask for.
API_MAX_TOKENS = env.env_int("API_MAX_TOKENS", 4096)
# Calls of the model routes that one web process holds at a time, in all and with one key.
API_MAX_IN_FLIGHT = env.env_int("API_MAX_IN_FLIGHT", 256)
API_MAX_IN_FLIGHT_PER_KEY = env.env_int("API_MAX_IN_FLIGHT_PER_KEY", 96)
