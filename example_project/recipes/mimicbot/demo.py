"""The demo of the mimicbot recipe: a support bot on two listed sites and on a copied page."""

from collections.abc import Sequence

from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token

from allowlist.models import APIKey
from allowlist.models.choices import Enforcement
from example_project.configurator.demo import SITES, Addresses
from example_project.recipes.base import Embed

from .models import Bot

NAME = "Acme Support Bot"


def set_up(user: User, addresses: Addresses) -> Sequence[tuple[str, str]]:
    """Create the bot if it is missing, and list the listed sites."""
    bot = _find() or _make(user)
    bot.key.enforcement = Enforcement.ENFORCE
    bot.key.save()
    bot.key.restrict_domains([addresses.of(site.host) for site in SITES.values() if site.listed])
    token, _created = Token.objects.get_or_create(user=user)
    config, mine = _config(bot, addresses), f"{addresses.service}/api/bots/{bot.pk}"
    bearer = f"-H 'Authorization: Bearer {token.key}'"
    nowhere = """-X PATCH -H 'Content-Type: application/json' -d '{"widgetConfig": {"allowedOrigins": []}}'"""
    unlisted = next(addresses.of(site.host) for site in SITES.values() if not site.listed)
    return [
        ("403, a server isn't a listed page", f"curl -i {config}"),
        ("403, a page of another origin isn't either", f"curl -i -H 'Origin: {unlisted}' {config}"),
        ("200, the bot's owner", f"curl -i {bearer} {mine}"),
        ("200, now the widget loads nowhere", f"curl -i {bearer} {nowhere} {mine}"),
    ]


def embed(addresses: Addresses) -> Embed:
    """Return the bot's widget, which has its key in the URL that it requests."""
    bot = _find()
    return Embed(_config(bot, addresses) if bot else addresses.service)


def _config(bot: Bot, addresses: Addresses) -> str:
    return f"{addresses.service}/v1/public/bots/{bot.public_id}/config"


def _find() -> Bot | None:
    bots = Bot.objects.filter(key__name=NAME, key__revoked_at=None, key__expires_at=None)
    return bots.select_related("key").first()


def _make(user: User) -> Bot:
    key, _token = APIKey.objects.create_key(name=NAME, creator=user)
    return Bot.objects.create(key=key, client_url="https://acme.example")
