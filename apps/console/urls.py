"""The operators' page."""

from __future__ import annotations

from django.urls import path

from apps.console import views

app_name = "operations"
urlpatterns = [
    path("", views.index, name="index"),
    path("stats", views.stats, name="stats"),
    path("deliveries", views.deliveries, name="deliveries"),
    path("deliveries/retry", views.deliveries_again, name="deliveries_retry"),
]
