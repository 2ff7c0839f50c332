"""The response of the token-access recipe."""

from typing import Any

from rest_framework import status

from allowlist.permissions import IsAllowlisted
from allowlist.policy.decision import Reason


class HasAccess(IsAllowlisted):
    """Refuses with one sentence, whichever restriction applied."""

    def get_body(self, reason: Reason) -> Any:
        """Return the sentence; for a token that doesn't work and for a failure, its own message."""
        if self.get_status(reason) == status.HTTP_403_FORBIDDEN:
            return {"error": "Access denied. You don't have permission to access this."}
        return {"error": self.get_message(reason)}
