"""The settings of a project with tenants; the database's name is in ALLOWLIST_TENANTS_DB."""

import os

from tests import databases

SECRET_KEY = "tests"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.tenants.urls"
DATABASES = {
    "default": {
        **databases.postgres(),
        "ENGINE": "django_tenants.postgresql_backend",
        "NAME": os.environ.get("ALLOWLIST_TENANTS_DB", "postgres"),
        "ATOMIC_REQUESTS": False,
    }
}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SHARED_APPS = ["django_tenants", "tests.tenants", "django.contrib.contenttypes", "django.contrib.auth"]
TENANT_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "allowlist"]
INSTALLED_APPS = [*SHARED_APPS, "allowlist"]
TENANT_MODEL = "tenants.Tenant"
TENANT_DOMAIN_MODEL = "tenants.Domain"
MIDDLEWARE = ["django_tenants.middleware.main.TenantMainMiddleware"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
ALLOWLIST = {"FRESHNESS": os.environ.get("ALLOWLIST_TENANTS_FRESHNESS") or None}
USE_TZ = True
