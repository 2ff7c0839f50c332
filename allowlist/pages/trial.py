"""“Test a request”, on the creator's pages."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from ..forms.trial import list_to_extend, tested
from ..policy.entries import display
from .base import KeyPageView


class CheckView(KeyPageView):
    """The page on which a request is tested."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Show what a request would get."""
        title = _("Test a request: %(key)s") % {"key": self.key.name}
        return self.key_page("check", title, **tested(request, self.key, label_suffix=""))

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Add the entry that would allow the request, and test it again."""
        kind = list_to_extend(request.POST)
        try:
            with self.editing() as edit:
                added = edit.list(kind).add([request.POST.get("entry", "")])
        except ValidationError as error:
            self.say(messages.ERROR, " ".join(error.messages))
        else:
            for text in (*(each.text for each in added.entries), *added.duplicates):
                self.say(messages.SUCCESS, _("“%(entry)s” is listed.") % {"entry": display(text)})
        return HttpResponseRedirect(request.get_full_path())
