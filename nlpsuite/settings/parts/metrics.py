"""Who may read /metrics."""

from __future__ import annotations

from nlpsuite.settings import env

# Asked for as a bearer token; without one only this machine itself may read the metrics.
METRICS_TOKEN = env.env_str("METRICS_TOKEN")
