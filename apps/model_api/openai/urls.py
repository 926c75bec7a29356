from django.urls import path

import apps.model_api.converters  # noqa: F401  (registers the converter of the paths below)
from apps.model_api.openai import views

urlpatterns = [
    path("chat/completions", views.chat_completions),
    path("completions", views.completions),
    path("embeddings", views.embeddings_create),
    path("models", views.models),
    path("models/<path:name>", views.model),
    path("", views.unknown),
    path("<anything:path>", views.unknown),
]
