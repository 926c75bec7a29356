from django.conf import settings
from django.urls import path

from apps.core.views import styleguide
from apps.widget import views

app_name = "widget"
urlpatterns = [
    path("", views.demo_page, name="demo"),
    path("widget.js", views.embed_script, name="embed_script"),
    path("widget/frame", views.frame_page, name="frame"),
]
if settings.DEBUG:
    urlpatterns.append(path("styleguide/", styleguide, name="styleguide"))
