"""The site that the servers serve: the test project, with a database file and proxies given from outside."""

import json
import os

from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.servers.urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["SITE_DATABASE"],
        "OPTIONS": {"timeout": 30},
    }
}
ALLOWLIST = {"TRUSTED_PROXIES": json.loads(os.environ["SITE_PROXIES"])}
