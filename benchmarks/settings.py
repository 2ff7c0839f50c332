"""Django's settings in a process of the benchmark; the environment holds what differs between processes."""

import json
import os
from importlib.util import find_spec
from typing import Any

from benchmarks.cases import PEERS

SETUP: dict[str, Any] = json.loads(os.environ["ALLOWLIST_BENCHMARK"])

SECRET_KEY = "benchmarks"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "benchmarks.urls"
DATABASES = {"default": SETUP["database"] | {"OPTIONS": SETUP["settings"].get("OPTIONS", {})}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
MIDDLEWARE: list[str] = []
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
}
DRF_IP_RESTRICTION_SETTINGS = {"ALLOWED_IP_LIST": PEERS}
TENANT_API_KEY_MODEL = "tenant_apikeys.APIKey"
DRF_API_KEY = {"FERNET_SECRET": "YmVuY2htYXJrcy1iZW5jaG1hcmtzLWJlbmNobWFya3M="}

globals().update(SETUP["settings"])

_OURS = [] if SETUP["settings"].get("WITHOUT_ALLOWLIST") else ["allowlist"]
_INSTALLED = ["corsheaders", "rest_framework_api_key", "knox", "drf_simple_apikey"]
_TENANTS = ["benchmarks.tenant_apikeys"] if find_spec("django_tenant_apikeys") else []
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework.authtoken",
    *(name for name in _INSTALLED if find_spec(name)),
    *_TENANTS,
    *_OURS,
]
