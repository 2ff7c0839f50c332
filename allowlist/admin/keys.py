"""The admin of keys: creators manage their own, superusers see all and can take one over.

Ownership narrows Django's model permissions and never widens them. The models' own methods write
everything; the form shows what they refuse, and keeps what was typed.
"""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models import APIKey
from ..models.explaining import status_here
from ..policy.tokens import Kind
from ..signals import acting_as
from .forms import FIXED, PASTED, APIKeyForm, KeyForm, controls
from .inlines import AllowedDomainInline, AllowedIPInline, EntryInline
from .key_list import KeyListMixin
from .ownership import OwnerMixin, check_owner
from .rows import EntryFormSet
from .saving import change, create
from .steps import StepsMixin, person
from .summary import STATUS_LABELS

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[APIKey]
else:
    ModelAdmin = admin.ModelAdmin


@admin.register(APIKey)
class APIKeyAdmin(StepsMixin, KeyListMixin, OwnerMixin, ModelAdmin):
    """Keys with their two lists."""

    form = APIKeyForm
    inlines = (AllowedDomainInline, AllowedIPInline)
    list_display = ("name", "hint", "domains", "ips", "state", "last_used_at")
    list_filter = ("kind", "environment", "domain_mode", "ip_mode")
    list_select_related = ("creator",)  # Before 6.1, Django follows no nullable key by itself.
    search_fields = ("name",)
    readonly_fields = ("token", "status", "creator", "created_at", "last_used_at", "revoked_at")
    radio_fields = {
        "domain_mode": admin.VERTICAL,
        "ip_mode": admin.VERTICAL,
        "condition": admin.VERTICAL,
        "enforcement": admin.VERTICAL,
    }

    @admin.display(description=gettext_lazy("status"))
    def status(self, key: APIKey) -> str:
        """Return whether the key works, in words."""
        return str(STATUS_LABELS[status_here(key)])

    # What the page shows

    def get_inlines(self, request: HttpRequest, obj: APIKey | None) -> Any:
        """Return the inlines without a list that can hold nothing, such as a secret key's domains."""
        return [
            inline for inline in self.inlines if not issubclass(inline, EntryInline) or inline.can_hold(obj)
        ]

    def get_fieldsets(self, request: HttpRequest, obj: APIKey | None = None) -> Any:
        """Return the controls without those that offer only one choice."""
        lists = [each for each in self.get_inline_instances(request, obj) if isinstance(each, EntryInline)]
        paste = [PASTED[each.model.kind.field] for each in lists if each.has_add_permission(request, obj)]
        security = [*controls("" if obj is None else obj.kind), *paste]
        details = ["token", "status", "creator", "created_at", "last_used_at", "revoked_at"]
        return [
            (None, {"fields": ["name", *FIXED, "expires_at", "enforcement"]}),
            *([(_("Security"), {"fields": security})] if security else []),
            *([(_("Details"), {"fields": details})] if obj is not None else []),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: APIKey | None = None) -> Any:
        """Return what can't be typed. Kind and environment are fixed once the key is created."""
        return self.readonly_fields if obj is None else (*self.readonly_fields, *FIXED)

    def get_form(
        self, request: HttpRequest, obj: APIKey | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form, which shows what the models refused a moment ago."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.refused = getattr(request, "allowlist_refused", None)
        # A form contains the fields that it declares, whether or not they are on the page.
        on_page = flatten_fieldsets(self.get_fieldsets(request, obj))
        for name in set(PASTED.values()).difference(on_page):
            del form.base_fields[name]
        return form

    def get_formset_kwargs(self, request: HttpRequest, obj: APIKey, inline: Any, prefix: str) -> Any:
        """Return what a formset is built with; a list shows the page of rows that the address asks for."""
        query = {"query": request.GET} if isinstance(inline, EntryInline) else {}
        return {**super().get_formset_kwargs(request, obj, inline, prefix), **query}

    # How it is written

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        """Show and save the form. If the models refuse, show it again with all that was typed."""
        try:
            with acting_as(request.user):
                return super().changeform_view(request, object_id, form_url, extra_context)
        except ValidationError as error:
            request.allowlist_refused = error  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

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
        for note in notes:
            messages.warning(request, note)
        for formset in formsets:
            if formset not in lists:
                self.save_formset(request, form, formset, change)

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
            return change(edit, form, lists)

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

    def response_add(
        self, request: HttpRequest, obj: APIKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the token, in this response alone: no message and no session stores it.

        In a pop-up a publishable key goes to the field that asked for it, as its page shows the token.
        """
        if IS_POPUP_VAR in request.POST and obj.kind == Kind.PUBLISHABLE:
            return super().response_add(request, obj, post_url_continue)
        return self.token_page(request, obj, request.allowlist_token, _("API key created"))  # type: ignore[attr-defined]
