from tests.real_models import _host, models  # noqa: F401  (fixtures)
