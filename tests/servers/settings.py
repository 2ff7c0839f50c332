"""The settings of the site: the test project's, with the database and the proxies from the environment."""

import json
import os

from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.servers.urls"
DATABASES = {
    "default": json.loads(os.environ["SITE_DATABASE"]),
    **json.loads(os.environ.get("SITE_MORE_DATABASES", "{}")),
}
ALLOWLIST = {
    "TRUSTED_PROXIES": json.loads(os.environ["SITE_PROXIES"]),
    "FRESHNESS": os.environ.get("SITE_FRESHNESS"),
}
