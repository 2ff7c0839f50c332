"""What the widget reads and sends."""

from typing import Any

from rest_framework import serializers

from .models import Lead
from .product import price_of, unknown_choices


class ConfigSerializer(serializers.Serializer[Any]):
    """The product, for the schema."""

    title = serializers.CharField()
    currency = serializers.CharField()
    base_price = serializers.IntegerField()
    options = serializers.ListField(child=serializers.DictField())


class LeadSerializer(serializers.ModelSerializer[Lead]):
    """A lead. The server sets its price."""

    choices = serializers.DictField(child=serializers.CharField(max_length=20))

    class Meta:
        model = Lead
        fields = ("name", "email", "choices", "price")
        read_only_fields = ("price",)

    def validate_choices(self, choices: dict[str, str]) -> dict[str, str]:
        """Accept one known value for each option."""
        if wrong := unknown_choices(choices):
            raise serializers.ValidationError(f"Choose again: {', '.join(wrong)}.")
        return choices

    def create(self, validated_data: dict[str, Any]) -> Lead:
        """Store the lead with its price."""
        return super().create({**validated_data, "price": price_of(validated_data["choices"])})
