"""The test run with a custom user model: a UUID for its primary key, an email address for login."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as _APPS

INSTALLED_APPS = ["tests.people", *_APPS]
AUTH_USER_MODEL = "people.Person"
