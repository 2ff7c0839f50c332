"""“Test a request”, on the creator's pages."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from ..enforcement.client_ip import client_address
from ..forms.trial import RequestForm, how_we_see, key_hint, rule_lines
from ..models.lists import DOMAINS, IPS
from ..policy.entries import display
from .base import KeyPageView


class CheckView(KeyPageView):
    """The page on which a request is tested."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Show what a request would get."""
        seen = {"ip": client_address(request)}
        sent = request.GET if "ip" in request.GET else None
        form = RequestForm(sent, initial=seen, label_suffix="")
        context: dict[str, Any] = {"form": form, "how_we_see": how_we_see(request)}
        if form.is_bound and form.is_valid():
            found = form.explanation(self.key)
            context |= {"found": found, "lines": rule_lines(found), "key_hint": key_hint(found)}
        return self.key_page("check", _("Test a request: %(key)s") % {"key": self.key.name}, **context)

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Add the entry that would allow the request, and test it again."""
        kind = DOMAINS if request.POST.get("list") == DOMAINS.field else IPS
        try:
            with self.editing() as edit:
                added = edit.list(kind).add([request.POST.get("entry", "")])
        except ValidationError as error:
            self.say(messages.ERROR, " ".join(error.messages))
        else:
            for text in (*(each.text for each in added.entries), *added.duplicates):
                self.say(messages.SUCCESS, _("“%(entry)s” is listed.") % {"entry": display(text)})
        return HttpResponseRedirect(request.get_full_path())
