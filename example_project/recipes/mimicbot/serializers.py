"""Bots as the product's API writes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import transaction
from rest_framework import serializers

from allowlist.api.errors import errors_of
from allowlist.models import APIKey

from .models import Bot


class WidgetConfigSerializer(serializers.Serializer[Bot]):
    """Where the widget may load, and how it looks."""

    # The key decides what an origin is, and which origins may be listed.
    allowedOrigins = serializers.ListField(  # noqa: N815 - the product's spelling, here and below
        child=serializers.CharField(allow_blank=True), source="allowed_origins", required=False
    )
    greeting = serializers.CharField(max_length=200, required=False)
    accentColor = serializers.CharField(max_length=20, source="accent_color", required=False)  # noqa: N815


class PublicBotSerializer(serializers.Serializer[Bot]):
    """What the widget receives about its bot."""

    publicId = serializers.CharField(source="public_id", read_only=True)  # noqa: N815
    name = serializers.CharField(max_length=100)
    widgetConfig = WidgetConfigSerializer(source="*", required=False)  # noqa: N815


class BotSerializer(PublicBotSerializer):
    """What a bot's owner reads and writes."""

    id = serializers.IntegerField(read_only=True)
    clientUrl = serializers.URLField(source="client_url")  # noqa: N815

    def create(self, validated_data: dict[str, Any]) -> Bot:
        """Create the bot and its key, with the origins, for the request's user."""
        name, origins = validated_data.pop("name"), validated_data.pop("allowed_origins", ())
        creator = self.context["request"].user
        with _explained(), transaction.atomic():
            key, _token = APIKey.objects.create_key(name=name, creator=creator, allowed_domains=origins)
            return Bot.objects.create(key=key, **validated_data)

    def update(self, instance: Bot, validated_data: dict[str, Any]) -> Bot:
        """Change what was sent; a list of origins replaces the previous one."""
        key, origins = instance.key, validated_data.pop("allowed_origins", None)
        with _explained(), transaction.atomic():
            if origins is not None:
                key.restrict_domains(origins)
            key.name = validated_data.pop("name", key.name)
            key.save()
            for field, value in validated_data.items():
                setattr(instance, field, value)
            instance.save(update_fields=validated_data)
        return instance


@contextmanager
def _explained() -> Iterator[None]:
    """Report the key's errors under the name that its list has here."""
    try:
        yield
    except DjangoValidationError as error:
        errors = errors_of(error)
        origins = errors.pop("allowed_domains", None)
        shown = errors if origins is None else {"widgetConfig": {"allowedOrigins": origins}}
        raise serializers.ValidationError(shown) from None
