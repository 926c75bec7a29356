"""All routes."""

from __future__ import annotations

from django.urls import include, path

from nlpsuite import health
from nlpsuite.api import api
from nlpsuite.metrics.views import metrics

handler500 = "nlpsuite.refusals.server_error"
urlpatterns = [
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics),
    path("api/v1/", api.urls),
    path("accounts/", include("apps.accounts.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("knowledge/", include("apps.knowledge.urls")),
    path("inbox/", include("apps.inbox.urls")),
    path("studio/", include("apps.studio.urls")),
    path("operations/", include("apps.console.urls")),
    path("", include("apps.model_api.urls")),
    path("", include("apps.widget.urls")),
]
