"""The Django admin."""

from .keys import APIKeyAdmin
from .own_keys import OwnKeysMixin

__all__ = ["APIKeyAdmin", "OwnKeysMixin"]
