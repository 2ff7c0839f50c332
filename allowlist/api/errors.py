"""What the management API responds with instead of an exception."""

from typing import Any

from django.core.exceptions import (
    RequestDataTooBig,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import ProtectedError, RestrictedError
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.settings import api_settings

from ..forms.steps import in_use


class ConflictError(APIException):
    """409: someone else is writing, or another model's rows need the key. Nothing was changed."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class TooLargeError(APIException):
    """413: the body is larger than ``DATA_UPLOAD_MAX_MEMORY_SIZE``."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


def api_error(error: Exception) -> Exception:
    """Return the error that the client gets for ``error``: itself unless it means a status of its own."""
    match error:
        case DjangoValidationError() if getattr(error, "code", None) == "busy":
            return ConflictError(error.messages[0])
        case DjangoValidationError():
            return ValidationError(errors_of(error))
        case ProtectedError() | RestrictedError():
            return ConflictError(in_use(error))
        case RecursionError():
            return ParseError(_("The body is nested too deeply."))
        case RequestDataTooBig():
            return TooLargeError(_("The body is too large."))
        case TooManyFieldsSent() | TooManyFilesSent():
            return ParseError(_("The form has too many fields."))
    return error


def errors_of(error: DjangoValidationError) -> dict[str, Any]:
    """Return a model's errors as DRF's: by field, and by position where the error is about an entry."""
    if hasattr(error, "error_dict"):
        return dict(error.message_dict)
    found: dict[str, Any] = {}
    for each in error.error_list:
        params = each.params if isinstance(each.params, dict) else {}
        field = params.get("field", api_settings.NON_FIELD_ERRORS_KEY)
        if (index := params.get("index")) is None:
            found.setdefault(field, []).extend(each.messages)
        else:
            found.setdefault(field, {}).setdefault(str(index), []).extend(each.messages)
    return found
