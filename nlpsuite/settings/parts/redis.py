"""Redis or Valkey: broker, channel layer (hints only), reply streams, rate limits."""

from __future__ import annotations

from celery.schedules import crontab

from nlpsuite.settings import env

REDIS_URL = env.env_str("REDIS_URL") or f"unix://{env.RUN_DIR}/valkey.sock?db=0"

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": None}], "prefix": "hint"},
    }
}


def broker_url(url: str) -> str:
    """Return the kombu form of a Redis URL: Unix sockets have a scheme of their own there."""
    if url.startswith("unix://"):
        path, _, query = url.removeprefix("unix://").partition("?")
        return f"redis+socket://{path}?virtual_host={query.removeprefix('db=') or 0}"
    return url


CELERY_BROKER_URL = broker_url(REDIS_URL)
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 2.0
# One visibility time-out for the whole installation; recovery is by lease and sweeper, so it may be long.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "global_keyprefix": "celery:",
}
CELERY_TASK_ROUTES = {"apps.inference.tasks.*": {"queue": "inference"}}
# Tasks of apps that were split off `analysis` keep its name: beats and workers of the version before know them so.
CELERY_BEAT_SCHEDULE = {
    "jobs-sweep": {"task": "apps.jobs.tasks.job_sweep_task", "schedule": 10.0, "options": {"expires": 20}},
    "batches-prune": {
        "task": "apps.analysis.tasks.batches_prune_task",
        "schedule": 3600.0,
        "options": {"expires": 600},
    },
    "documents-prune": {
        "task": "apps.analysis.tasks.documents_prune_task",
        "schedule": 3600.0,
        "options": {"expires": 600},
    },
    "files-sweep": {
        "task": "apps.tenants.tasks.files_sweep_task",
        "schedule": crontab(hour=3, minute=40),
        "options": {"expires": 600},
    },
    "retention": {"task": "apps.tenants.tasks.retention_run_task", "schedule": 3600.0, "options": {"expires": 600}},
    # On the queue of common work: the inference worker's threads are for those who wait for a model.
    "spaces-follow": {
        "task": "apps.inference.tasks.spaces_follow_task",
        "schedule": 60.0,
        "options": {"expires": 50, "queue": "default"},
    },
    "spaces-follow-thoroughly": {
        "task": "apps.inference.tasks.spaces_follow_task",
        "schedule": 3600.0,
        "kwargs": {"thorough": True},
        "options": {"expires": 600, "queue": "default"},
    },
    "terms-follow": {
        "task": "apps.conversations.tasks.terms_follow_task",
        "schedule": 60.0,
        "options": {"expires": 50},
    },
    "judgements-follow": {
        "task": "apps.conversations.tasks.judgements_follow_task",
        "schedule": 60.0,
        "options": {"expires": 50},
    },
    "memory-terms-follow": {
        "task": "apps.analysis.tasks.memory_terms_follow_task",
        "schedule": 60.0,
        "options": {"expires": 50},
    },
    "classifiers-follow": {
        "task": "apps.analysis.tasks.classifiers_follow_task",
        "schedule": 60.0,
        "options": {"expires": 50},
    },
    "usage-prune": {"task": "apps.usage.tasks.idempotency_prune_task", "schedule": 3600.0, "options": {"expires": 600}},
}
