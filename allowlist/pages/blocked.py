"""What a key blocked, on the creator's pages: allow it, forget it, learn from it, enforce."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from ..forms.blocked_actions import allowed_message, chosen_places, wanted_places
from ..forms.blocked_section import blocked_section
from ..forms.blocked_steps import BLOCKED_STEPS
from ..models import BlockedSource
from ..models.suggestions import allow
from .base import KeyPageView


class BlockedView(KeyPageView):
    """The places that a key blocked, each with what would allow it."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Show the places."""
        return self._shown([])

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """List what allows the place whose button was used, or the places that were selected."""
        try:
            with self.editing() as edit:
                entries = allow(edit, chosen_places(wanted_places(request.POST)))
        except BlockedSource.DoesNotExist as error:
            raise Http404 from error
        except ValidationError as error:
            self.say(messages.ERROR, " ".join(error.messages))
            self.key = self.find()
            return self._shown(request.POST.getlist("place"))
        self.say(messages.SUCCESS, allowed_message(entries))
        return self.to("key-blocked", self.key.pk)

    def _shown(self, chosen: list[str]) -> HttpResponse:
        offered = [step for step in BLOCKED_STEPS if not step.is_done(self.request.user, self.key)]
        return self.key_page(
            "blocked",
            _("Blocked: %(key)s") % {"key": self.key.name},
            blocked=blocked_section(self.key, self.request.GET.get("page")),
            blocked_steps={step.name: step for step in offered},
            chosen=chosen,
        )
