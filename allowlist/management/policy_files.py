"""Export files: the policies of keys as JSON, without anything that opens a key."""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from django.core.management import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import ISO_8601, serializers

from ..api.serializers import ChoiceField, DateTimeField, EntryField, EntryListField
from ..api.strict import StrictSerializer
from ..models import APIKey
from ..models.entries import Entry
from ..models.lists import DOMAINS, IPS, KINDS
from ..policy.tokens import LOCATOR_LENGTH
from .calls import sentences
from .tables import safe

MOST_ERRORS = 20
"""How many things that are wrong with a file are printed."""


class IsoDateTimeField(DateTimeField):
    """A time as ISO 8601, whatever the project's own format is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"format": ISO_8601, "input_formats": [ISO_8601], **kwargs})


class PolicyEntryField(EntryField):
    """An entry of an export: its text, its name and its end."""

    entry_fields = {
        "name": lambda: serializers.CharField(max_length=100, allow_blank=True, trim_whitespace=False),
        "expires_at": lambda: IsoDateTimeField(allow_null=True),
    }

    def to_representation(self, value: Entry) -> dict[str, Any]:
        """Return the entry as an object."""
        ends = None if value.expires_at is None else IsoDateTimeField().to_representation(value.expires_at)
        return {value.kind.column: value.text, "name": value.name, "expires_at": ends}


class PolicyListField(EntryListField):
    """A key's whole list."""

    entry_field = PolicyEntryField


class PolicySerializer(StrictSerializer, serializers.ModelSerializer[APIKey]):
    """A key's policy, by locator."""

    locator = serializers.RegexField(
        re.compile(rf"^[a-z0-9]{{{LOCATOR_LENGTH}}}\Z", re.ASCII),
        error_messages={"invalid": gettext_lazy("This isn't the locator of a key.")},
    )
    allowed_domains = PolicyListField(DOMAINS)
    allowed_ips = PolicyListField(IPS)
    serializer_choice_field = ChoiceField

    class Meta:
        model = APIKey
        fields = (
            "locator",
            "name",
            "kind",
            "environment",
            *("domain_mode", "allowed_domains", "ip_mode", "allowed_ips"),
            "condition",
            "enforcement",
            "expires_at",
        )
        extra_kwargs = {"name": {"trim_whitespace": False}}

    serializer_field_mapping = {
        field: IsoDateTimeField if used is serializers.DateTimeField else used
        for field, used in serializers.ModelSerializer.serializer_field_mapping.items()
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a policy without a locator, and a list without its mode."""
        if "locator" not in attrs:
            raise serializers.ValidationError({"locator": [_("This field is required.")]})
        for kind in KINDS:
            if kind.field in attrs and kind.mode not in attrs:
                sentence = _("Give %(mode)s too, so that the list counts as you mean it.")
                raise serializers.ValidationError({kind.field: [sentence % {"mode": kind.mode}]})
        return attrs


class BrokenFileError(ValueError):
    """A file that isn't JSON as the standard has it."""


def read_policies(text: str, name: str) -> list[dict[str, Any]]:
    """Return the policies in an export file; raise CommandError with a sentence for each that is wrong."""
    data = _parsed(text, name)
    if not isinstance(data, list):
        raise CommandError(_("“%(file)s” must be a list of keys, as export prints it.") % {"file": name})
    serializer = PolicySerializer(partial=True)
    policies: list[dict[str, Any]] = []
    wrong: list[str] = []
    for number, each in enumerate(data, start=1):
        try:
            policies.append(serializer.run_validation(each))
        except serializers.ValidationError as error:
            wrong += sentences(error.detail, name, place(number))
        if len(wrong) >= MOST_ERRORS:
            break
    wrong += _repeated(policies, name)
    if wrong:
        raise CommandError("\n".join(map(safe, wrong[:MOST_ERRORS])))
    return policies


def place(number: int) -> str:
    """Return which key of a file is meant."""
    return _("key %(number)s") % {"number": number}


def _repeated(policies: list[dict[str, Any]], name: str) -> Iterator[str]:
    seen: set[str] = set()
    for policy in policies:
        if policy["locator"] in seen:
            sentence = _("%(file)s: The locator “%(locator)s” is there twice.")
            yield sentence % {"file": name, "locator": policy["locator"]}
        seen.add(policy["locator"])


def _parsed(text: str, name: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        sentence = _("“%(file)s” isn't valid JSON: see line %(line)s, column %(column)s (%(reason)s).")
        values = {"line": error.lineno, "column": error.colno, "reason": error.msg}
        raise CommandError(sentence % {"file": name, **values}) from None
    except (ValueError, RecursionError) as error:
        is_ours = isinstance(error, BrokenFileError)
        reason = error if is_ours else _("it nests too deep, or a number is too long")
        sentence = _("“%(file)s” isn't valid JSON: %(reason)s.")
        raise CommandError(sentence % {"file": name, "reason": safe(reason)}) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BrokenFileError(_("“%(name)s” is in one object twice") % {"name": twice})
    return found


def _no_constant(text: str) -> NoReturn:
    raise BrokenFileError(_("%(text)s isn't a number of JSON") % {"text": text})
