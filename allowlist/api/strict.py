"""Refuse every name in a body that no field takes.

Django REST framework ignores unknown names. Here a misspelled list would leave a key open, and a misspelled
``overlap`` would end a token at once.
"""

import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.utils.html import is_html_input

from ..validators import shown
from .parsers import JSON_API

MOST_REFUSED = 20
"""How many unknown names one response reports; finding the nearest field takes time."""
LIKENESS = 0.6
"""How much of a name a field must share to be suggested, from 0 to 1."""

ADDED_BY_JSON_API = frozenset({"type", "id"})
ADDED_BY_FORMS = frozenset({"csrfmiddlewaretoken"})
FORM_LIST_ITEM = re.compile(r"(\w+)\[[0-9]{1,5}\]\w*")
"""How a form names an item of a list: ``allowed_domains[0]`` or ``allowed_domains[0]domain``."""


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses names it doesn't know, and read-only names with another value."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated values; raise ValidationError for a name that can't be sent."""
        if isinstance(data, Mapping):
            read_only = {name for name, field in self.fields.items() if field.read_only}
            writable = set(self.fields) - read_only
            names = [name for name in data if not self._is_added(name, data)]
            if errors := refused_names(names, data, writable, read_only, self._current):
                raise serializers.ValidationError(errors)
        return super().to_internal_value(data)

    def get_initial(self) -> Any:
        """Return what the browsable API fills in: of what was sent, only what a page can show."""
        initial: dict[str, Any] = super().get_initial()
        if not hasattr(self, "initial_data"):
            return initial
        return {name: printable(value) for name, value in initial.items() if not is_nested(value)}

    def _current(self) -> Mapping[str, Any]:
        current: Mapping[str, Any] = {} if self.instance is None else self.to_representation(self.instance)
        return current

    def _is_added(self, name: Any, data: Mapping[Any, Any]) -> bool:
        """Return whether the client's format adds the name beside the fields."""
        if is_html_input(data):
            item = FORM_LIST_ITEM.fullmatch(str(name))
            if item and isinstance(self.fields.get(item[1]), serializers.ListField):
                return item[1] not in data  # If it is, the list is read from there, and the item isn't.
            return name in ADDED_BY_FORMS
        request = self.context.get("request")
        return name in ADDED_BY_JSON_API and request is not None and request.content_type.startswith(JSON_API)


def refused_names(
    names: Collection[Any],
    data: Mapping[Any, Any],
    writable: Collection[str],
    read_only: Collection[str],
    current: Callable[[], Mapping[str, Any]],
) -> dict[str, list[str]]:
    """Return a sentence for each name that can't be sent, for at most ``MOST_REFUSED``.

    ``current`` returns what the read-only names are read with now: the same values may be sent back.
    """
    unknown = [name for name in names if name not in writable and name not in read_only]
    errors = {shown(str(name)): [_unknown(str(name), writable)] for name in unknown[:MOST_REFUSED]}
    if sent := [name for name in names if name in read_only]:
        missing, now = object(), current()
        for name in sent:
            if str(now.get(name, missing)) != str(data[name]):
                errors[name] = [_("“%(name)s” is read-only. Leave it out.") % {"name": name}]
    return errors


def _unknown(name: str, fields: Collection[str]) -> str:
    params = {"name": shown(name), "field": nearest(name, fields), "fields": ", ".join(sorted(fields))}
    if params["field"]:
        return _("Unknown field “%(name)s”. Did you mean “%(field)s”?") % params
    if fields:
        return _("Unknown field “%(name)s”. You can send: %(fields)s.") % params
    return _("Unknown field “%(name)s”. Send nothing here.") % params


def nearest(name: str, fields: Collection[str]) -> str | None:
    """Return the field that ``name`` was probably meant to be, or None.

    A field that contains the name comes first, the longest of several: ``domain`` is a list, not its mode.
    """
    plain = _letters(name)
    if len(plain) < 2:
        return None
    by_letters = {_letters(field): field for field in sorted(fields, key=len)}
    if around := [letters for letters in by_letters if plain in letters]:
        return by_letters[around[-1]]
    near = get_close_matches(plain, by_letters, n=1, cutoff=LIKENESS)
    return by_letters[near[0]] if near else None


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def printable(value: Any) -> Any:
    """Return ``value`` with lone surrogates as escapes, since a page can't be encoded with them."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def is_nested(value: Any) -> bool:
    """Return whether ``value`` is a list or an object: no page shows one, and a deep one can't be printed."""
    return isinstance(value, (Mapping, list))
