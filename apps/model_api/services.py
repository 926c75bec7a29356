"""Who may call the model routes, how often and how many at once."""

from __future__ import annotations

from django.conf import settings

from apps.accounts.access import access_principal_by_api_key
from apps.core.errors import Busy, RateLimited
from apps.core.ids import new_id
from apps.core.tenancy import connection_release
from apps.inference.services.permits import permit_free, permit_take
from apps.model_api.types import QUOTA, SCOPE, Admission
from apps.tenants.selectors import organization_settings
from apps.usage.services import quota_add, quota_check, rate_check

# A permit outlives its call's deadline by this, so that it is not free while the call still winds up.
_GRACE_S = 15


def call_admit(secret: str, *, permit: bool = True) -> Admission:
    """Admit a call with the API key `secret`; with `permit` it counts as running until `call_settle`.

    Limits: the organisation's settings requests_per_minute, tokens_per_day and max_concurrent_calls.
    Errors: Unauthenticated; Forbidden "scope_missing"; RateLimited "rate_limited", "quota_exceeded" and
            "concurrency_limit", at once and with the wait; Unavailable without Redis.
    Effects: no database connection is held afterwards, since what follows waits for models.
    """
    try:
        principal = access_principal_by_api_key(secret)
        limits = organization_settings(tenant_id=principal.tenant_id)
    finally:
        connection_release()
    tenant_id = principal.tenant_id
    rate_check(scope=tenant_id, key="api", limit=limits["requests_per_minute"], window_s=60)
    principal.require(SCOPE)
    if not permit:
        return Admission(tenant_id)
    quota_check(scope=tenant_id, key=QUOTA, limit=limits["tokens_per_day"])
    member = str(new_id())
    try:
        permit_take(
            key=_permits(tenant_id),
            member=member,
            bound=limits["max_concurrent_calls"],
            deadline_s=settings.API_DEADLINE_S + _GRACE_S,
        )
    except Busy:
        raise RateLimited(
            "The organisation has as many calls running as it may.", code="concurrency_limit", retry_after_s=1
        ) from None
    return Admission(tenant_id, member)


def call_settle(admission: Admission, *, tokens: int) -> None:
    """End a call: count the tokens it used against the day's quota and give its permit back."""
    quota_add(scope=admission.tenant_id, key=QUOTA, amount=tokens)
    if admission.permit:
        permit_free(key=_permits(admission.tenant_id), member=admission.permit)


def _permits(tenant_id: object) -> str:
    return f"infer:tenant:{tenant_id}"
