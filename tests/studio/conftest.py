from tests.conversations.conftest import talk, talk_of  # noqa: F401  (fixtures)
from tests.real_models import _host, models  # noqa: F401  (fixtures)
