"""The admin of keys: creators manage their own, superusers see all and can take one over.

Ownership narrows Django's model permissions and never widens them. The models' own methods write
everything; the form shows what they refuse, and keeps what was typed.
"""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.options import IS_POPUP_VAR
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from ..conf import settings
from ..forms.key_fields import PASTED, APIKeyForm, KeyForm, keep_left_out
from ..forms.pasting import ADD_VALID
from ..forms.rows import EntryFormSet
from ..forms.saving import UnconfirmedError, change, create, emptied
from ..models import APIKey
from ..models.entries import Entry
from ..models.lists import DOMAINS
from ..policy.tokens import Kind
from ..signals import acting_as
from .inlines import AllowedDomainInline, AllowedIPInline
from .key_list import KeyListMixin
from .key_page import KeyPageMixin
from .ownership import OwnerMixin, check_owner
from .steps import person
from .trial import TrialMixin

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[APIKey]
else:
    ModelAdmin = admin.ModelAdmin

CONFIRMED = "_empty_lists"
"""The name of what the page that asks sends along, once its user agrees."""


@admin.register(APIKey)
class APIKeyAdmin(TrialMixin, KeyPageMixin, KeyListMixin, OwnerMixin, ModelAdmin):
    """Keys with their two lists."""

    form = APIKeyForm
    inlines = (AllowedDomainInline, AllowedIPInline)
    list_display = ("named", "domains", "ips", "state", "blocked", "last_used_at")
    list_filter = ("kind", "environment", "domain_mode", "ip_mode")
    search_fields = ("name",)
    readonly_fields = ("shown_token", "status", "created_by", "created_at", "last_used_at", "revoked_at")
    radio_fields = {
        "domain_mode": admin.VERTICAL,
        "ip_mode": admin.VERTICAL,
        "condition": admin.VERTICAL,
        "enforcement": admin.VERTICAL,
    }

    # How it is written

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        """Show and save the form. If the models refuse, show it again with all that was typed.

        Before a list is emptied, ask whether that is meant.
        """
        try:
            with acting_as(request.user):
                return super().changeform_view(request, object_id, form_url, extra_context)
        except ValidationError as error:
            request.allowlist_refused = error  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)
        except UnconfirmedError as asked:
            return self._confirm(request, str(object_id), asked.lost)

    def _confirm(self, request: HttpRequest, object_id: str, lost: list[Entry]) -> HttpResponse:
        """Ask whether the entries may be deleted. The page sends the form again, with the answer."""
        key = self.get_object(request, object_id)
        sent = [(name, each) for name, values in request.POST.lists() for each in values]
        sent = [(name, each) for name, each in sent if name != "csrfmiddlewaretoken"]
        title = _("Delete the listed entries?")
        return self.key_page(
            request,
            key,
            "confirm_emptying",
            title,
            days=settings().BLOCKED_DAYS,
            entries=lost,
            sent=[*sent, (CONFIRMED, "1")],
        )

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """Ask whether to delete the key, and delete it."""
        return self.written(request, super().delete_view, object_id, extra_context)

    def save_model(self, request: HttpRequest, obj: APIKey, form: Any, change: bool) -> None:
        """Write nothing yet: ``save_related`` writes the key with its lists, as one change."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Create or change the key with its lists, judged as a whole."""
        lists = [formset for formset in formsets if isinstance(formset, EntryFormSet)]
        for formset in lists:
            formset.save(commit=False)
        notes = (self._change if change else self._create)(request, form, lists)
        form.instance.refresh_from_db()
        form.changed_data = [name for name in form.changed_data if name not in PASTED.values()]
        keep_left_out(request, form)
        for note in notes:
            messages.warning(request, note)
        for formset in formsets:
            if formset not in lists:
                self.save_formset(request, form, formset, change)
            elif formset.model.kind is DOMAINS and formset.new_objects:
                self.offer_siblings(request, form.instance, formset.new_objects)

    def _create(self, request: HttpRequest, form: APIKeyForm, lists: list[Any]) -> list[str]:
        """Create the key. The form's instance becomes it, and the request holds its token."""
        made, token, notes = create(form, lists, person(request))
        key: APIKey = form.instance
        key.pk, key._state.adding, key._state.db = made.pk, False, made._state.db
        request.allowlist_token = token  # type: ignore[attr-defined]
        return notes

    def _change(self, request: HttpRequest, form: KeyForm, lists: list[Any]) -> list[str]:
        with form.instance.editing() as edit:
            check_owner(request, form.instance)
            lost = emptied(form)
            notes = change(edit, form, lists)
        if lost and CONFIRMED not in request.POST:
            raise UnconfirmedError(lost)
        return notes

    def delete_model(self, request: HttpRequest, obj: APIKey) -> None:
        """Delete the key."""
        with obj.editing():
            check_owner(request, obj)
            obj.delete()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> None:
        """Delete the keys, all or none."""
        # In the order in which other bulk writes lock keys, so that neither waits for the other.
        for key in sorted(queryset, key=lambda key: str(key.pk)):
            self.delete_model(request, key)

    def response_change(self, request: HttpRequest, obj: APIKey) -> HttpResponse:
        """Stay on the key's page if some pasted entries were left out: they are in the box again."""
        if ADD_VALID in request.POST:
            sent: Any = request.POST.copy()
            sent["_continue"] = "1"
            request.POST = sent
        return super().response_change(request, obj)

    def response_add(
        self, request: HttpRequest, obj: APIKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the token, in this response alone: no message and no session stores it.

        In a pop-up a publishable key goes to the field that asked for it, as its page shows the token.
        """
        if IS_POPUP_VAR in request.POST and obj.kind == Kind.PUBLISHABLE:
            return super().response_add(request, obj, post_url_continue)
        return self.token_page(request, obj, request.allowlist_token, _("API key created"))  # type: ignore[attr-defined]
