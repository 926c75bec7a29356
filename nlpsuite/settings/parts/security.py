"""Hosts, cookies, content policy."""

from __future__ import annotations

from urllib.parse import urlsplit

from csp.constants import NONE, SELF

from nlpsuite.settings import env

PUBLIC_URL = env.env_str("PUBLIC_URL").rstrip("/")
BASE_URL = PUBLIC_URL or f"http://{env.local_host()}:{env.PORT}"

_public = urlsplit(BASE_URL)
_local = {"127.0.0.1": "localhost", "localhost": "127.0.0.1"}
_twin = _local.get(_public.hostname or "")
OWN_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]
if _twin:
    OWN_ORIGINS.append(f"{_public.scheme}://{_twin}" + (f":{_public.port}" if _public.port else ""))
if PUBLIC_URL:
    # A reverse proxy in front does not make the local address unusable for the operator.
    OWN_ORIGINS += [f"http://127.0.0.1:{env.PORT}", f"http://localhost:{env.PORT}"]

ALLOWED_HOSTS = list({urlsplit(origin).hostname or "" for origin in OWN_ORIGINS}) + env.env_list("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = list(OWN_ORIGINS)

_https = _public.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = "nlpsuite_session"
CSRF_COOKIE_NAME = "csrftoken"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if _https:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = env.env_int("HSTS_SECONDS", 31_536_000)
    # Both reach beyond this product: other hosts below the name, and lists in browsers that forget slowly.
    SECURE_HSTS_INCLUDE_SUBDOMAINS = env.env_bool("HSTS_INCLUDE_SUBDOMAINS")
    SECURE_HSTS_PRELOAD = env.env_bool("HSTS_PRELOAD")
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SILENCED_SYSTEM_CHECKS = (
    # Not to reach beyond this product is the default.
    ["security.W005", "security.W021"]
    if _https
    else [
        # A plain-http address is the operator's choice for one machine; behind https these settings are on.
        "security.W004",
        "security.W008",
        "security.W012",
        "security.W016",
    ]
)

_sockets = [origin.replace("http", "ws", 1) for origin in OWN_ORIGINS]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF, *_sockets],
        "frame-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
# Addresses that the one outbound client may reach although they are not public, e.g. 10.0.0.0/8.
EGRESS_ALLOW_CIDRS = env.env_list("EGRESS_ALLOW_CIDRS")
