from django.urls import path

from apps.integrations.openai import views

urlpatterns = [
    path("chat/completions", views.chat_completions),
    path("completions", views.completions),
    path("embeddings", views.embeddings_create),
    path("models", views.models),
    path("models/<path:name>", views.model),
    path("", views.unknown),
    path("<path:path>", views.unknown),
]
