"""The API whose project is secured."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from allowlist.authentication import APIKeyAuthentication
from allowlist.permissions import IsAllowlisted


class ResourcesView(APIView):
    """The resources of the project whose key was sent."""

    authentication_classes = (APIKeyAuthentication,)
    permission_classes = (IsAllowlisted,)

    def get(self, request: Request) -> Response:
        """Show them."""
        return Response({"resources": ["rooms", "rates"]})
