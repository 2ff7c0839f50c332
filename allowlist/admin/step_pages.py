"""The pages of the steps, and the page that shows a token."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _

from ..conf import settings
from ..forms.steps import Outcome, Step
from ..models import APIKey
from ..models.entries import Entry
from ..models.lists import ListKind
from ..signals import acting_as
from .inlines import EntryInline
from .ownership import check_owner, is_superuser
from .steps import STEPS, TakeOver

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[APIKey]
else:
    ModelAdmin = admin.ModelAdmin


class StepsMixin(ModelAdmin):
    """The addresses and pages of the steps, and the page that shows a token."""

    def get_urls(self) -> list[URLPattern]:
        """Return the admin's routes and those of the steps."""
        return [
            path(
                f"<path:object_id>/{step.slug}/",
                self.admin_site.admin_view(self.step_view),
                {"step": step},
                name=f"allowlist_apikey_{step.name}",
            )
            for step in STEPS
        ] + super().get_urls()

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> APIKey:
        """Return the key; raise Http404 for one that is missing or that the user may not see."""
        key = super().get_object(request, object_id, from_field)
        if key is None:
            raise Http404
        return key

    def offered_steps(self, request: HttpRequest, key: APIKey) -> list[Step]:
        """Return the steps that the user may take now."""
        return [step for step in STEPS if self._offers(step, request, key)]

    def _offers(self, step: Step, request: HttpRequest, key: APIKey) -> bool:
        return self._may_take(step, request, key) and not step.is_done(request.user, key)

    def _may_take(self, step: Step, request: HttpRequest, key: APIKey) -> bool:
        """Return whether the step is the user's at all: the key's creator's, or a superuser's."""
        is_creators = not isinstance(step, TakeOver)
        return self.has_change_permission(request, key) if is_creators else is_superuser(request)

    def may_add(self, request: HttpRequest, key: APIKey, kind: ListKind) -> bool:
        """Return whether the user may add entries to this list of the key."""
        lists = [each for each in self.get_inline_instances(request, key) if isinstance(each, EntryInline)]
        adding = [each.model.kind for each in lists if each.has_add_permission(request, key)]
        return kind in adding and self.has_change_permission(request, key)

    def log_added(self, request: HttpRequest, key: APIKey, entries: Iterable[Entry]) -> None:
        """Write the new entries into the key's history."""
        added = [{"name": str(each._meta.verbose_name), "object": str(each)} for each in entries]
        self.log_change(request, key, [{"added": each} for each in added])

    def step_view(self, request: HttpRequest, object_id: str, step: Step) -> HttpResponse:
        """Ask whether a step is meant, and take it on POST."""
        key = self.get_object(request, object_id)
        if not self.has_view_permission(request, key) or not self._may_take(step, request, key):
            raise PermissionDenied
        if step.is_done(request.user, key):
            messages.warning(request, str(step.is_done_message))
            return self.to_key(key)
        form = step.form(key, request.POST if request.method == "POST" else None)
        if not form.is_valid():
            entries = step.entries(key)
            return self.key_page(
                request, key, "confirm", f"{step.label}: {key.name}", step=step, form=form, entries=entries
            )
        try:
            with acting_as(request.user), key.editing():
                outcome = self._take(request, key, step, form.cleaned_data)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return self.to_key(key)
        if outcome.token is not None:
            return self.token_page(request, key, outcome.token, _("API key rotated"))
        messages.success(request, outcome.message)
        return self.to_key(key)

    def _take(self, request: HttpRequest, key: APIKey, step: Step, given: dict[str, Any]) -> Outcome:
        if not isinstance(step, TakeOver):
            check_owner(request, key)
        outcome = step.take(request.user, key, given)
        self.log_change(request, key, outcome.message)
        return outcome

    def token_page(self, request: HttpRequest, key: APIKey, token: str, title: str) -> HttpResponse:
        """Show a token. As on every page of the admin, the site sends ``Cache-Control: no-store``."""
        return self.key_page(request, key, "token", title, token=token, conf=settings())

    def to_key(self, key: APIKey) -> HttpResponse:
        """Return the redirect to the key's page."""
        change = f"{self.admin_site.name}:allowlist_apikey_change"
        return HttpResponseRedirect(reverse(change, args=[key.pk]))

    def key_page(
        self, request: HttpRequest, key: APIKey, template: str, title: str, **context: Any
    ) -> HttpResponse:
        """Return one of the key's own pages, by the name of its template."""
        request.current_app = self.admin_site.name
        shown = {**self.admin_site.each_context(request), "opts": self.opts, "original": key, "title": title}
        return TemplateResponse(request, f"admin/allowlist/apikey/{template}.html", {**shown, **context})
