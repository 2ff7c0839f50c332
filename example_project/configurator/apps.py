"""The configurator's wiring."""

from django.apps import AppConfig


class ConfiguratorConfig(AppConfig):
    """A widget that draws a form on a customer's page and collects leads."""

    name = "example_project.configurator"
    default_auto_field = "django.db.models.BigAutoField"
