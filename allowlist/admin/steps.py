"""Steps that a key's page offers, each on a page of its own: rotate, revoke, take over.

A new step is a subclass of ``Step`` in ``STEPS``; its address, link and confirmation page follow.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import APIKey
from ..signals import acting_as
from .ownership import check_owner, is_superuser

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    ModelAdmin = admin.ModelAdmin[APIKey]
else:
    ModelAdmin = admin.ModelAdmin


def person(request: HttpRequest) -> "AbstractBaseUser":
    """Return the user, who is logged in wherever the admin lets a request through."""
    return cast("AbstractBaseUser", request.user)


class Outcome(NamedTuple):
    """What a step did."""

    message: str
    """A sentence for the user and for the key's history."""
    token: str | None = None
    """The key's new token, to be shown."""


class Step(ABC):
    """One thing that is done to a key after a question. Steps of this kind are for the key's creator."""

    name: ClassVar[str]
    label: ClassVar[str | Promise]
    question: ClassVar[str | Promise]
    is_done_message: ClassVar[str | Promise] = gettext_lazy("This key is already revoked.")

    def is_allowed(self, model_admin: ModelAdmin, request: HttpRequest, key: APIKey) -> bool:
        """Return whether the user may take the step at all."""
        return model_admin.has_change_permission(request, key)

    def is_done(self, request: HttpRequest, key: APIKey) -> bool:
        """Return whether nothing is left to do, for example since another tab did it."""
        return key.revoked_at is not None

    def check_owner(self, request: HttpRequest, key: APIKey) -> None:
        """Raise Http404 if the locked key has been lost to someone else."""
        check_owner(request, key)

    @abstractmethod
    def take(self, request: HttpRequest, key: APIKey) -> Outcome:
        """Take the step; raise ValidationError if the key doesn't allow it."""


class Rotate(Step):
    """Gives the key a new token."""

    name = "rotate"
    label = gettext_lazy("Rotate")
    question = gettext_lazy("The key gets a new token. The current token stops working immediately.")

    def take(self, request: HttpRequest, key: APIKey) -> Outcome:
        """Give the key a new token."""
        return Outcome(_("Rotated the token."), key.rotate())


class Revoke(Step):
    """Ends the key."""

    name = "revoke"
    label = gettext_lazy("Revoke")
    question = gettext_lazy("The key stops working immediately. You can't undo this.")

    def take(self, request: HttpRequest, key: APIKey) -> Outcome:
        """End the key for good."""
        key.revoke()
        return Outcome(_("Revoked the key."))


class TakeOver(Step):
    """Makes a superuser the key's creator."""

    name = "take_over"
    label = gettext_lazy("Take over")
    question = gettext_lazy(
        "You become the key's creator. Its current creator can no longer see or change it."
    )
    is_done_message = gettext_lazy("This key is already yours.")

    def is_allowed(self, model_admin: ModelAdmin, request: HttpRequest, key: APIKey) -> bool:
        """Return whether the user is a superuser."""
        return is_superuser(request)

    def is_done(self, request: HttpRequest, key: APIKey) -> bool:
        """Return whether the user is the key's creator."""
        return bool(key.creator_id == person(request).pk)

    def check_owner(self, request: HttpRequest, key: APIKey) -> None:
        """Let a superuser take over any key."""

    def take(self, request: HttpRequest, key: APIKey) -> Outcome:
        """Make the user the key's creator."""
        creator = key.creator
        key.take_over(person(request))
        if creator is None:
            return Outcome(_("Took the key over. It had no creator."))
        return Outcome(_("Took the key over from %(creator)s.") % {"creator": creator})


STEPS: tuple[Step, ...] = (Rotate(), Revoke(), TakeOver())


class StepsMixin(ModelAdmin):
    """The addresses and pages of the steps, and the page that shows a token."""

    def get_urls(self) -> list[URLPattern]:
        """Return the admin's routes and those of the steps."""
        return [
            path(
                f"<path:object_id>/{step.name.replace('_', '-')}/",
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

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: APIKey | None = None,
    ) -> HttpResponse:
        """Show the form, with the steps that the user may take."""
        steps = [] if obj is None else [step for step in STEPS if self._offers(step, request, obj)]
        return super().render_change_form(request, {**context, "steps": steps}, add, change, form_url, obj)

    def _offers(self, step: Step, request: HttpRequest, key: APIKey) -> bool:
        return step.is_allowed(self, request, key) and not step.is_done(request, key)

    def step_view(self, request: HttpRequest, object_id: str, step: Step) -> HttpResponse:
        """Ask whether a step is meant, and take it on POST."""
        key = self.get_object(request, object_id)
        if not self.has_view_permission(request, key) or not step.is_allowed(self, request, key):
            raise PermissionDenied
        if step.is_done(request, key):
            messages.warning(request, str(step.is_done_message))
            return self._to_key(key)
        if request.method != "POST":
            return self._page(request, key, "confirm", f"{step.label}: {key.name}", step=step)
        try:
            with acting_as(request.user), key.editing():
                return self._take(request, key, step)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return self._to_key(key)

    def _take(self, request: HttpRequest, key: APIKey, step: Step) -> HttpResponse:
        step.check_owner(request, key)
        outcome = step.take(request, key)
        self.log_change(request, key, outcome.message)
        if outcome.token is not None:
            return self.token_page(request, key, outcome.token, _("API key rotated"))
        messages.success(request, outcome.message)
        return self._to_key(key)

    def token_page(self, request: HttpRequest, key: APIKey, token: str, title: str) -> HttpResponse:
        """Show a token. As on every page of the admin, the site sends ``Cache-Control: no-store``."""
        return self._page(request, key, "token", title, token=token)

    def _to_key(self, key: APIKey) -> HttpResponse:
        change = f"{self.admin_site.name}:allowlist_apikey_change"
        return HttpResponseRedirect(reverse(change, args=[key.pk]))

    def _page(
        self, request: HttpRequest, key: APIKey, template: str, title: str, **context: Any
    ) -> HttpResponse:
        request.current_app = self.admin_site.name
        shown = {**self.admin_site.each_context(request), "opts": self.opts, "original": key, "title": title}
        return TemplateResponse(request, f"admin/allowlist/apikey/{template}.html", {**shown, **context})
