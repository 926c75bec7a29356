from django.urls import path

import apps.model_api.converters  # noqa: F401  (registers the converter of the paths below)
from apps.model_api.libretranslate import views

urlpatterns = [
    path("translate", views.translate_view),
    path("detect", views.detect),
    path("translate_file", views.translate_file),
    path("download_file/<str:token>", views.download_file, name="libretranslate-file"),
    path("languages", views.languages),
    path("health", views.health),
    path("frontend/settings", views.frontend_settings),
    path("", views.unknown),
    path("<anything:path>", views.unknown),
]
