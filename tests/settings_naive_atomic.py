"""The test run with ``USE_TZ = False`` and ``ATOMIC_REQUESTS``, in a time zone far behind UTC."""

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES as _DATABASES

USE_TZ = False
TIME_ZONE = "Pacific/Honolulu"
# The default only: a test that uses no other database shouldn't need access to it.
DATABASES = {**_DATABASES, "default": {**_DATABASES["default"], "ATOMIC_REQUESTS": True}}
