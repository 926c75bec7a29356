from django.urls import path

import apps.model_api.converters  # noqa: F401  (registers the converter of the paths below)
from apps.model_api.tei import views

urlpatterns = [
    path("", views.root),
    path("embed", views.embed),
    path("predict", views.predict),
    path("rerank", views.rerank),
    path("similarity", views.similarity),
    path("token_classification", views.token_classification),
    path("info", views.info),
    path("health", views.health),
    path("<anything:path>", views.unknown),
]
