"""The studio: language tasks on a text, models side by side, classifiers, batches, translation."""

from __future__ import annotations

from django.urls import path

from apps.studio.views import batches, studio, translation

app_name = "studio"
urlpatterns = [
    path("", studio.index, name="index"),
    path("compare/", studio.compare, name="compare"),
    path("classifiers/", studio.classifiers, name="classifiers"),
    path("read", studio.read, name="read"),
    path("batches/", batches.index, name="batches"),
    path("batches/<str:batch_id>/", batches.batch, name="batch"),
    path("translation/", translation.index, name="translation"),
]
