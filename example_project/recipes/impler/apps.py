"""The impler recipe's wiring."""

from django.apps import AppConfig


class ImplerConfig(AppConfig):
    """Projects whose widget imports spreadsheets."""

    name = "example_project.recipes.impler"
    default_auto_field = "django.db.models.BigAutoField"
