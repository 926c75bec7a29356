"""Sign-in by django-allauth: e-mail and password, no open sign-up (owners invite members). apps/accounts/urls.py lists
which of its pages are open."""

from __future__ import annotations

from nlpsuite.settings import env

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/inbox/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/login/"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "apps.accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {"reset_password": "apps.accounts.forms.AddressResetForm"}
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,20/h/key"}
# A message to an address without an account would tell strangers of the installation, and be free mail to anybody.
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
# Without a mail server nothing is sent, and nothing printed: a link to a new password does not belong in a log.
EMAIL_CONFIGURED = bool(env.env_str("EMAIL_HOST"))
EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend"
    if EMAIL_CONFIGURED
    else "django.core.mail.backends.dummy.EmailBackend"
)
# Seconds for each step of talking to the mail server: a request waits for it.
EMAIL_TIMEOUT_S = EMAIL_TIMEOUT = env.env_int("EMAIL_TIMEOUT_S", 10)
EMAIL_HOST = env.env_str("EMAIL_HOST", "localhost")
EMAIL_PORT = env.env_int("EMAIL_PORT", 25)
EMAIL_HOST_USER = env.env_str("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.env_str("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.env_bool("EMAIL_USE_TLS")
DEFAULT_FROM_EMAIL = env.env_str("DEFAULT_FROM_EMAIL", "nlpsuite@localhost")
