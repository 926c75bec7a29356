"""Staff pages of the knowledge base, and the page that shows a cited passage."""

from __future__ import annotations

from django.urls import path

from apps.knowledge import views

app_name = "knowledge"
urlpatterns = [
    path("", views.index, name="index"),
    path("rows", views.rows, name="rows"),
    path("add", views.add, name="add"),
    path("sources/<str:source_id>/delete", views.delete, name="delete"),
    path("sources/<str:source_id>/reingest", views.reingest, name="reingest"),
    path("passage", views.passage, name="passage"),
]
