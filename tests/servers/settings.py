"""The site that the servers serve: the test project, with a database file and proxies given from outside."""

import json
import os

from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.servers.urls"
DATABASES = {"default": json.loads(os.environ["SITE_DATABASE"])}
ALLOWLIST = {
    "TRUSTED_PROXIES": json.loads(os.environ["SITE_PROXIES"]),
    "FRESHNESS": os.environ.get("SITE_REDIS"),
}
