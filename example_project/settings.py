"""A small project that uses allowlist: a configurator widget that customers embed.

It runs as it is on a developer's machine. With ``EXAMPLE_DEPLOY=1`` it has the settings of a site on the
internet: https only, with its own secret key and host names.
"""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from corsheaders.defaults import default_headers

from example_project import recipes

BASE_DIR = Path(__file__).resolve().parent.parent
DEPLOY = os.environ.get("EXAMPLE_DEPLOY") == "1"
RECIPE = os.environ.get("EXAMPLE_RECIPE", "")
"""The product whose allowlist is served, see ``recipes``; empty for the configurator."""

DEBUG = not DEPLOY
SECRET_KEY = os.environ["EXAMPLE_SECRET_KEY"] if DEPLOY else "public: everyone can read this file"
ALLOWED_HOSTS = os.environ.get("EXAMPLE_HOSTS", ".localhost,127.0.0.1,[::1]").split(",")

ROOT_URLCONF = f"{recipes.package(RECIPE)}.urls" if RECIPE else "example_project.urls"
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
    # Users' own bearer tokens, for the mimicbot recipe.
    "rest_framework.authtoken",
    "allowlist",
    "example_project.configurator",
    "example_project.recipes",
    *(recipes.package(name) for name in recipes.NAMES),
]
MIDDLEWARE = [
    # First, so that a preflight is answered before anything redirects or refuses it.
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # First, so that the example's templates override those of allowlist.pages.
        "DIRS": recipes.template_folders(RECIPE),
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
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("EXAMPLE_DATABASE", BASE_DIR / f"db{RECIPE and '-'}{RECIPE}.sqlite3"),
        # A writer waits for its turn at the start, so no writer has to give up half-way.
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
    }
}
AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]

LOGIN_REDIRECT_URL = "/security/"
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "build" / "static"

# The widget sends its key in our own header, which browsers name in the preflight.
CORS_ALLOW_HEADERS = (*default_headers, "x-api-key", "x-embed-token")

# The configurator uses the defaults: at most 25 domains and 25 IP addresses for each key, no empty list,
# and no request without an origin if domains are listed.
ALLOWLIST: dict[str, Any] = import_module(f"{recipes.package(RECIPE)}.settings").ALLOWLIST if RECIPE else {}

# The demo's curl lines log in by password, which the management API takes only if it is set here.
REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.BasicAuthentication",
    ],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    # Refusals, with reason, key and origin; never the token.
    "loggers": {"allowlist": {"handlers": ["console"], "level": "INFO"}},
}

if DEPLOY:
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
