"""The bots' wiring."""

from django.apps import AppConfig


class MimicbotConfig(AppConfig):
    """Bots whose widgets load only where their owner embeds them."""

    name = "example_project.recipes.mimicbot"
    default_auto_field = "django.db.models.BigAutoField"
