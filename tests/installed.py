"""A small project: run with the names of extras, it imports everything, runs the checks and guards a view."""

import importlib
import pkgutil
import sys
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.test.utils import setup_test_environment
from django.utils.crypto import get_random_string

APPS = {"cors": ["corsheaders"], "openapi": ["drf_spectacular"]}
"""What an extra adds to INSTALLED_APPS."""
NEEDED = {
    "allowlist.contrib.corsheaders": "cors",
    "allowlist.contrib.ninja": "ninja",
    "allowlist.contrib.spectacular": "openapi",
    "allowlist.api.schema": "openapi",
}
"""What can only be imported with an extra."""
OWN = ("admin", "auth", "contenttypes", "messages", "sessions")
CONTEXT = (
    "template.context_processors.request",
    "contrib.auth.context_processors.auth",
    "contrib.messages.context_processors.messages",
)
SHOP = "https://shop.example.com"


def set_up(extras: list[str]) -> None:
    """Set Django up with what the extras add."""
    added = [name for extra in extras for name in APPS.get(extra, [])]
    settings.configure(
        ALLOWED_HOSTS=["*"],
        CORS_ALLOW_HEADERS=["x-api-key", "x-embed-token"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[*(f"django.contrib.{name}" for name in OWN), *added, "rest_framework", "allowlist"],
        MIDDLEWARE=[
            *(["corsheaders.middleware.CorsMiddleware"] if "cors" in extras else []),
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": []},
        ROOT_URLCONF="urls_of_project",
        TEMPLATES=[
            {
                "APP_DIRS": True,
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"context_processors": [f"django.{name}" for name in CONTEXT]},
            }
        ],
        SECRET_KEY=get_random_string(50),
    )
    sys.modules["urls_of_project"] = type(sys)("urls_of_project")
    django.setup()
    setup_test_environment()


def import_all(extras: list[str]) -> None:
    """Import every module but those of other extras."""
    import allowlist

    for module in pkgutil.walk_packages(allowlist.__path__, "allowlist."):
        if module.name not in NEEDED or NEEDED[module.name] in extras:
            importlib.import_module(module.name)


def guard_a_view() -> list[int]:
    """Return the statuses that a listed page, another page and a request without a key get."""
    from django.urls import include, path
    from rest_framework.response import Response
    from rest_framework.views import APIView

    from allowlist.permissions import IsAllowlisted
    from allowlist.testing import AllowlistClient, make_key

    class Widget(APIView):
        permission_classes = (IsAllowlisted,)

        def get(self, request: Any) -> Response:
            return Response()

    project: Any = sys.modules["urls_of_project"]
    project.urlpatterns = [path("widget/", Widget.as_view()), path("api/", include("allowlist.urls"))]
    _key, token = make_key(domains=[SHOP])
    clients = (
        AllowlistClient(token, SHOP),
        AllowlistClient(token, "https://evil.example"),
        AllowlistClient(),
    )
    return [client.get("/widget/").status_code for client in clients]


def main(extras: list[str]) -> None:
    """Do it all; raise SystemExit where something is amiss."""
    set_up(extras)
    import_all(extras)
    call_command("migrate", verbosity=0)
    if (statuses := guard_a_view()) != [200, 403, 401]:
        raise SystemExit(f"The guarded view responded with {statuses}.")
    call_command("check", fail_level="ERROR")
    call_command("allowlist", "list")


if __name__ == "__main__":
    main(sys.argv[1:])
