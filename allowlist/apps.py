"""The app, as Django loads it."""

from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy


class AllowlistConfig(AppConfig):
    """Registers the system checks and, the adapters of installed packages."""

    name = "allowlist"
    verbose_name = gettext_lazy("API key allowlist")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Import the modules that register themselves."""
        from . import checks, view_checks  # noqa: F401

        if apps.is_installed("corsheaders"):
            from .contrib import corsheaders

            corsheaders.connect()
        if apps.is_installed("drf_spectacular"):
            from .api import schema  # noqa: F401
            from .contrib import spectacular  # noqa: F401
