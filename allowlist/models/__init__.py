"""Keys and their entries. Nothing else writes them."""

from .keys import AllowedDomain, AllowedIP, APIKey

__all__ = ["APIKey", "AllowedDomain", "AllowedIP"]
