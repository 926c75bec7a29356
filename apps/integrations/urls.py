from django.urls import include, path

from apps.integrations.openai import views as openai_views
from apps.integrations.tei import views as tei_views

app_name = "integrations"
urlpatterns = [
    path("v1", openai_views.unknown),
    path("v1/", include("apps.integrations.openai.urls")),
    # Clients that are given this address post to it, with or without the slash.
    path("tei", tei_views.root),
    path("tei/", include("apps.integrations.tei.urls")),
    path("libretranslate/", include("apps.integrations.libretranslate.urls")),
]
