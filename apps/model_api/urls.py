from django.urls import include, path

from apps.model_api.openai import views as openai_views
from apps.model_api.tei import views as tei_views

app_name = "model_api"
urlpatterns = [
    path("v1", openai_views.unknown),
    path("v1/", include("apps.model_api.openai.urls")),
    # Clients that are given this address post to it, with or without the slash.
    path("tei", tei_views.root),
    path("tei/", include("apps.model_api.tei.urls")),
    path("libretranslate/", include("apps.model_api.libretranslate.urls")),
]
