"""The Django admin."""

from .keys import APIKeyAdmin

__all__ = ["APIKeyAdmin"]
