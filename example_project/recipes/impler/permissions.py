"""The answer of the impler recipe."""

from rest_framework import status

from allowlist.permissions import IsAllowlisted


class IsAllowedDomain(IsAllowlisted):
    """Refuses a page that is not listed in the product's words, with 401."""

    refused_status = status.HTTP_401_UNAUTHORIZED
    domain_message = "Domain not allowed"
