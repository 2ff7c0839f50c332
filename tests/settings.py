"""The settings of the test run. Two databases, two admin sites, a time zone far from UTC."""

from typing import Any

from example_project import recipes
from tests import databases

if databases.engine() == "mariadb":
    databases.use_pymysql()

SECRET_KEY = "tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.testapp.urls"
RECIPE = ""  # As the example project's settings have it, whose parts some tests serve.
DATABASES = databases.databases()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "corsheaders",
    "drf_spectacular",
    "rest_framework",
    "rest_framework.authtoken",
    "allowlist",
    "example_project.configurator",
    "example_project.recipes",
    *(recipes.package(name) for name in recipes.NAMES),
    "tests.testapp",
]
MIDDLEWARE = [
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
CORS_ALLOW_HEADERS = ["accept", "authorization", "content-type", "x-api-key", "x-csrftoken", "x-embed-token"]
STATIC_URL = "static/"
USE_TZ = True
TIME_ZONE = "Pacific/Kiritimati"  # 14 hours ahead of UTC: a clock read naively shows at once.
# Hashing a password as sites do takes a third of a second, for each user of each test.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
