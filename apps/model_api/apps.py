from django.apps import AppConfig


class ModelApiConfig(AppConfig):
    name = "apps.model_api"
    label = "model_api"
