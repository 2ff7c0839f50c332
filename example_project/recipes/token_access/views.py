"""An API that front ends and back ends call with the same kind of token."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from allowlist.authentication import APIKeyAuthentication

from .permissions import HasAccess


class OrdersView(APIView):
    """The orders that the token gives access to."""

    authentication_classes = (APIKeyAuthentication,)
    permission_classes = (HasAccess,)

    def get(self, request: Request) -> Response:
        """Show the orders."""
        return Response({"orders": [{"number": 1001, "state": "sent"}, {"number": 1002, "state": "paid"}]})
