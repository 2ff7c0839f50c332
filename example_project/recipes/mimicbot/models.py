"""A bot, whose list of origins is its key's."""

from django.db import models

from allowlist.models import APIKey


class Bot(models.Model):
    """A bot that its owner embeds in websites. Its key holds the owner, the name and the origins."""

    key = models.OneToOneField(APIKey, on_delete=models.CASCADE, related_name="bot")
    client_url = models.URLField()
    greeting = models.CharField(max_length=200, default="How can we help?")
    accent_color = models.CharField(max_length=20, default="#2f6f4f")

    def __str__(self) -> str:
        """Return the name."""
        return self.name

    @property
    def public_id(self) -> str:
        """Return the key's token. It is publishable, and part of the URL that the widget fetches."""
        return self.key.token

    @property
    def name(self) -> str:
        """Return the name."""
        return self.key.name

    @property
    def allowed_origins(self) -> list[str]:
        """Return the origins where the widget may load its config, as browsers write them."""
        return [entry.domain for entry in self.key.allowed_domains.all()]
