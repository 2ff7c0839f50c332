"""Keys and their entries. Everything that writes them is in this room."""

from .blocked import BlockedSource
from .entries import AllowedDomain, AllowedIP
from .keys import APIKey
from .removed import RemovedList

__all__ = ["APIKey", "AllowedDomain", "AllowedIP", "BlockedSource", "RemovedList"]
