"""The one place that says "no", and that says the same thing twice when asked twice."""

from apps.usage.services.idempotency import idempotency_prune, idempotent
from apps.usage.services.limits import rate_check
from apps.usage.services.quota import quota_add, quota_check

__all__ = ["idempotency_prune", "idempotent", "quota_add", "quota_check", "rate_check"]
