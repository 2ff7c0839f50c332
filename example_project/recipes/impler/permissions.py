"""The response of the impler recipe."""

from rest_framework import status

from allowlist.permissions import IsAllowlisted


class IsAllowedDomain(IsAllowlisted):
    """Refuses a page that isn't listed with the product's sentence and a 401."""

    refused_status = status.HTTP_401_UNAUTHORIZED
    domain_message = "Domain not allowed"
