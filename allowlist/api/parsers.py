"""Reading a body without trusting the parser: whatever is wrong with it is the client's 400."""

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.utils.translation import gettext as _
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

from ..validators import shown

JSON_API = "application/vnd.api+json"
DOCUMENT = frozenset({"data", "meta", "links", "jsonapi", "included"})
"""The members of a JSON:API document (https://jsonapi.org/format/ section 5.1)."""
RESOURCE = frozenset({"type", "id", "lid", "attributes", "relationships", "links", "meta"})
"""The members of a resource object (section 5.2)."""

Parse = Callable[[Any, Any, Any], Any]


def guarded(parser: BaseParser) -> BaseParser:
    """Return ``parser``, whose own failures are ParseErrors from now on.

    A project's parser may raise anything for a body of the wrong kind, and JSON:API's drops members that
    stand in the wrong place: a list that is dropped would leave a key open.
    """
    parse: Parse = parser.parse
    is_json_api = parser.media_type == JSON_API

    def parse_guarded(stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            if is_json_api:
                stream = _checked(stream.read())
            return parse(stream, media_type, parser_context)
        except (APIException, RecursionError, RequestDataTooBig, OSError):
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ParseError(_("The body can't be read. Check its structure.")) from error

    setattr(parser, "parse", parse_guarded)  # noqa: B010
    return parser


def _checked(body: bytes) -> BytesIO:
    """Return the body for the parser; raise ParseError for a member that it would drop."""
    try:
        document = json.loads(body)
    except ValueError:
        return BytesIO(body)  # The parser says what is wrong.
    if isinstance(document, dict):
        _refuse_unknown(document, DOCUMENT)
        if isinstance(document.get("data"), dict):
            _refuse_unknown(document["data"], RESOURCE)
    return BytesIO(body)


def _refuse_unknown(members: dict[str, Any], known: frozenset[str]) -> None:
    for name in members.keys() - known:
        sentence = _("Unknown member “%(name)s”. Send the key's fields in “attributes”.")
        raise ParseError(sentence % {"name": shown(name)})
