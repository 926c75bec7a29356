from django.urls import path

import apps.integrations.converters  # noqa: F401  (registers the converter of the paths below)
from apps.integrations.openai import views

urlpatterns = [
    path("chat/completions", views.chat_completions),
    path("completions", views.completions),
    path("embeddings", views.embeddings_create),
    path("models", views.models),
    path("models/<path:name>", views.model),
    path("", views.unknown),
    path("<anything:path>", views.unknown),
]
