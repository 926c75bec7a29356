from django.urls import path

from apps.integrations.libretranslate import views

urlpatterns = [
    path("translate", views.translate_view),
    path("detect", views.detect),
    path("languages", views.languages),
    path("health", views.health),
    path("frontend/settings", views.frontend_settings),
    path("", views.unknown),
    path("<path:path>", views.unknown),
]
