"""``check/``: what a request with a key would get, and why."""

from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from ..enforcement.client_ip import client_address
from ..enforcement.drf import django_request
from ..enforcement.responses import RefusalResponses
from ..models import APIKey
from ..models.explaining import KeyExplanation, read_address
from .serializers import StepSerializer


class HeaderField(serializers.CharField):
    """A header's value as it is sent; null is a request without the header."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, allow_blank=True, trim_whitespace=False, **kwargs)


class AddressField(serializers.CharField):
    """An IP address; null is one that can't be known."""

    default_error_messages = {"address": _("Enter an IP address, such as 203.0.113.7.")}

    def to_internal_value(self, data: Any) -> Any:
        """Return the address."""
        try:
            return read_address(super().to_internal_value(data))
        except ValueError:
            self.fail("address")


class CheckSerializer(StepSerializer):
    """The request to explain. Without an ``ip``, it comes from where this request comes from."""

    origin = HeaderField()
    referer = HeaderField()
    sec_fetch_site = HeaderField()
    ip = AddressField(required=False, allow_null=True)

    def explanation(self, key: APIKey) -> dict[str, Any]:
        """Return what the validated request would get from ``key``."""
        given: dict[str, Any] = {**self.validated_data}
        if "ip" not in given:
            given["ip"] = client_address(django_request(self.context["request"]))
        return explanation_data(key.explain(**given))


def explanation_data(found: KeyExplanation) -> dict[str, Any]:
    """Return an explanation as the API has it, with the app's own message and hint for the reason."""
    responses, reason = RefusalResponses(), found.reason
    return {
        **asdict(found),
        "message": None if reason is None else responses.get_message(reason),
        "hint": None if reason is None else responses.get_hint(reason),
    }
