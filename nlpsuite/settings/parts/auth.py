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
# A message to an address without an account would tell strangers of the installation, and be free mail to anybody.
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
# Without a mail server nothing is sent, and nothing printed: a link to a new password does not belong in a log.
EMAIL_CONFIGURED = bool(env.env_str("EMAIL_HOST"))
# Guessing is limited by apps.accounts.services.sign_in: with allauth's limits, by account or by address alone, anybody
# locks others out.
ACCOUNT_RATE_LIMITS = {"login": "", "login_failed": "", "reset_password": "", "change_password": ""}
ACCOUNT_FORMS = {
    "reset_password": "apps.accounts.guessing.GuardedResetForm",
    "change_password": "apps.accounts.guessing.GuardedChangeForm",
}
# Whoever opened the link of a message has proven the address: the way in for the owner of an account that others try.
ACCOUNT_LOGIN_ON_PASSWORD_RESET = True
# The fields are those of apps.accounts.types.GuessLimits. An office behind one address has 60 wrong passwords an hour
# for all its people, and none of them counts against a device that has signed in before.
GUESS_LIMITS = {
    "sign_in": {"free": 5, "first_wait_s": 15, "longest_wait_s": 900, "per_account": 20, "per_address": 60},
    # Each is a message in somebody's mailbox.
    "reset": {"free": 3, "first_wait_s": 60, "longest_wait_s": 900, "per_account": 6, "per_address": 30},
    # Within a session, so no bounds by account: they would lock its owner out.
    "change": {"free": 5, "first_wait_s": 15, "longest_wait_s": 900, "per_account": 0, "per_address": 0},
}
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
