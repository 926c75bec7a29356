"""Settings of every process. Integrations have a file each under `parts/`; `env.py` alone reads the environment."""

from __future__ import annotations

import secrets

from nlpsuite.settings import env
from nlpsuite.settings.parts.auth import *
from nlpsuite.settings.parts.batches import *
from nlpsuite.settings.parts.database import *
from nlpsuite.settings.parts.edge import *
from nlpsuite.settings.parts.inference import *
from nlpsuite.settings.parts.invitations import *
from nlpsuite.settings.parts.knowledge import *
from nlpsuite.settings.parts.logs import *
from nlpsuite.settings.parts.metrics import *
from nlpsuite.settings.parts.model_api import *
from nlpsuite.settings.parts.redis import *
from nlpsuite.settings.parts.retention import *
from nlpsuite.settings.parts.security import *
from nlpsuite.settings.parts.storage import *

VERSION = "0.1.0"
BASE_DIR = env.BASE_DIR
DATA_DIR = env.DATA_DIR
DEBUG = env.env_bool("DEBUG")
# Commands that run before the first start (makemigrations, check) get a key that is forgotten with the process.
_secret_key = env.env_str("SECRET_KEY") or env.secrets_read().get("secret_key")
SECRET_KEY = _secret_key or secrets.token_urlsafe(48)
# Processes with a key each would refuse one another's cookies, tokens and links: boot_check refuses to start.
SECRET_KEY_IS_KEPT = bool(_secret_key) and len(_secret_key or "") >= 32

INSTALLED_APPS = [
    "nlpsuite",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "channels",
    "ninja",
    "apps.core",
    "apps.events",
    "apps.tenants",
    "apps.judgements",
    "apps.accounts",
    "apps.jobs",
    "apps.usage",
    "apps.inference",
    "apps.conversations",
    "apps.knowledge",
    "apps.translation",
    "apps.nlp",
    "apps.batches",
    "apps.insights",
    "apps.analysis",
    "apps.assistant",
    "apps.widget",
    "apps.inbox",
    "apps.studio",
    "apps.console",
    "apps.model_api",
]
MIDDLEWARE = [
    "nlpsuite.metrics.web.RequestMetricsMiddleware",
    "nlpsuite.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
# What /v1 and /tei pass instead (nlpsuite/handlers.py). The rest is about pages, sessions and cookies.
MODEL_ROUTES_MIDDLEWARE = [
    "nlpsuite.metrics.web.RequestMetricsMiddleware",
    "nlpsuite.middleware.RequestIdMiddleware",
    "nlpsuite.handlers.InlineSecurityMiddleware",
]
ROOT_URLCONF = "nlpsuite.urls"
ASGI_APPLICATION = "nlpsuite.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = DATA_DIR / "files"
STORAGES = {
    "default": {"BACKEND": "apps.core.storage.ReservingStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
