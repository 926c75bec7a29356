from django.urls import path

from apps.integrations.tei import views

urlpatterns = [
    path("", views.root),
    path("embed", views.embed),
    path("predict", views.predict),
    path("rerank", views.rerank),
    path("similarity", views.similarity),
    path("token_classification", views.token_classification),
    path("info", views.info),
    path("health", views.health),
    path("<path:path>", views.unknown),
]
