from tests.inference.conftest import valkey  # noqa: F401  (fixture)
