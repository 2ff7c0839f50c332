"""The admin: creators manage their own keys, superusers see all and can take one over.

Ownership narrows Django's model permissions and never widens them. Nothing is written here but
through the models' own methods; what they refuse is shown on the form, with everything kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import router
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..conf import settings
from ..models import AllowedDomain, AllowedIP, APIKey
from ..models.edits import DOMAINS, IPS, ListKind, for_each_list, writing
from ..models.keys import Entry
from ..policy.decision import Mode
from ..policy.entries import display
from ..policy.tokens import Kind
from .forms import (
    CHOICES,
    CHOSEN,
    FIXED,
    PASTED,
    APIKeyForm,
    EntryForm,
    EntryFormSet,
    write_fields,
    write_list,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    TabularInline = admin.TabularInline[Entry, APIKey]
    ModelAdmin = admin.ModelAdmin[APIKey]
else:
    TabularInline, ModelAdmin = admin.TabularInline, admin.ModelAdmin


def _person(request: HttpRequest) -> "AbstractBaseUser":
    """Return the user, who is logged in wherever the admin lets a request through."""
    return cast("AbstractBaseUser", request.user)


def owns(request: HttpRequest, key: APIKey | None) -> bool:
    """Return whether the user may change ``key``; without one, whether they may own keys at all."""
    return key is None or APIKey.objects.manageable_by(request.user).filter(pk=key.pk).exists()


def sees(request: HttpRequest, key: APIKey | None) -> bool:
    """Return whether the user may look at ``key``: their own, or any for a superuser."""
    return is_superuser(request) or owns(request, key)


def is_superuser(request: HttpRequest) -> bool:
    """Return whether the user is a superuser; not every user model knows of such."""
    return bool(getattr(request.user, "is_superuser", False))


def _ask_again(request: HttpRequest, key: APIKey) -> None:
    """Raise Http404 where ``key``, locked now, was taken over since it was read."""
    if not owns(request, key):
        raise Http404


@dataclass(frozen=True)
class Step:
    """Something done to a key on a page of its own, after a question."""

    name: str
    label: str | Promise
    question: str | Promise
    may: Callable[[HttpRequest, APIKey], bool]
    """Whether the user may take the step at all."""
    done: Callable[[HttpRequest, APIKey], bool]
    """Whether there is nothing left to do, as in another tab it was done meanwhile."""
    done_message: str | Promise

    def is_for(self, request: HttpRequest, key: APIKey) -> bool:
        """Return whether to offer the step."""
        return self.may(request, key) and not self.done(request, key)


ROTATE = Step(
    "rotate",
    gettext_lazy("Rotate"),
    gettext_lazy("The key gets a new token, and the one in use stops working at once."),
    owns,
    lambda request, key: key.revoked_at is not None,
    gettext_lazy("This key is revoked already."),
)
REVOKE = Step(
    "revoke",
    gettext_lazy("Revoke"),
    gettext_lazy("The key stops working at once and for good."),
    owns,
    ROTATE.done,
    ROTATE.done_message,
)
TAKE_OVER = Step(
    "take_over",
    gettext_lazy("Take over"),
    gettext_lazy("You become the key's creator; the present one can no longer see or change it."),
    lambda request, key: is_superuser(request),
    owns,
    gettext_lazy("This key is yours already."),
)
STEPS = {step.name: step for step in (ROTATE, REVOKE, TAKE_OVER)}


def _can_hold(which: ListKind, key: APIKey | None) -> bool:
    """Return whether the list may be given entries, or has some to be seen."""
    if key is not None and key.kind == Kind.SECRET and which is DOMAINS:
        return False
    if Mode.LISTED in getattr(settings(), which.modes):
        return True
    return key is not None and (getattr(key, which.mode) == Mode.LISTED or getattr(key, which.field).exists())


class EntryInline(TabularInline):
    """One of a key's two lists."""

    form = EntryForm
    formset = EntryFormSet
    extra = 1
    which: ListKind

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Leave it to the model to say what is wrong with a text: it says what was meant."""
        if db_field.name == self.which.column:
            kwargs |= {"required": False, "max_length": None}
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_max_num(self, request: HttpRequest, obj: APIKey | None = None, **kwargs: Any) -> int | None:
        """Offer no more rows than the settings allow."""
        limit: int | None = getattr(settings(), self.which.limit)
        return limit

    def has_view_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        """Return whether the user may look at the key's list."""
        return super().has_view_permission(request, obj) and sees(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        """Return whether the user may add to the key's list."""
        return super().has_add_permission(request, obj) and owns(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        """Return whether the user may change the key's list."""
        return super().has_change_permission(request, obj) and owns(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        """Return whether the user may remove from the key's list."""
        return super().has_delete_permission(request, obj) and owns(request, obj)


class AllowedDomainInline(EntryInline):
    """The sites of a key."""

    model = AllowedDomain
    fields = ("name", "domain")
    which = DOMAINS


class AllowedIPInline(EntryInline):
    """The addresses and networks of a key."""

    model = AllowedIP
    fields = ("name", "ip")
    which = IPS


@admin.register(APIKey)
class APIKeyAdmin(ModelAdmin):
    """Keys with their two lists."""

    form = APIKeyForm
    inlines = (AllowedDomainInline, AllowedIPInline)
    list_display = ("name", "hint", "domain_mode", "ip_mode", "state", "last_used_at")
    list_filter = ("kind", "environment", "domain_mode", "ip_mode")
    list_select_related = ("creator",)  # Before 6.1, Django follows no nullable key by itself.
    search_fields = ("name",)
    readonly_fields = ("token", "state", "creator", "created_at", "last_used_at", "revoked_at")
    radio_fields = {
        "domain_mode": admin.VERTICAL,
        "ip_mode": admin.VERTICAL,
        "condition": admin.VERTICAL,
        "enforcement": admin.VERTICAL,
    }

    @admin.display(description=gettext_lazy("state"))
    def state(self, key: APIKey) -> str:
        """Return whether the key works."""
        if key.revoked_at is not None:
            return _("Revoked")
        if key.expires_at is not None and key.expires_at <= timezone.now():
            return _("Expired")
        return _("Works")

    # Who sees and changes what

    def get_queryset(self, request: HttpRequest) -> QuerySet[APIKey]:
        """Return the user's own keys, all of them for a superuser."""
        keys = super().get_queryset(request)
        if is_superuser(request):
            return keys
        return keys & APIKey.objects.manageable_by(request.user)

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the list's columns; who sees everybody's keys sees whose they are."""
        return (*self.list_display, "creator") if is_superuser(request) else self.list_display

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> APIKey:
        """Return the key; raise Http404 for one the user may not see, as for one there is not."""
        key = super().get_object(request, object_id, from_field)
        if key is None:
            raise Http404
        return key

    def has_view_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        """Return whether the user may look at the key."""
        return super().has_view_permission(request, obj) and sees(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        """Return whether the user may change the key."""
        return super().has_change_permission(request, obj) and owns(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:
        """Return whether the user may delete the key."""
        return super().has_delete_permission(request, obj) and owns(request, obj)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Allow the filters on the page alone, not a guess at what a digest starts with."""
        return lookup.partition("__")[0] in self.list_filter

    # What the form shows

    def get_inlines(self, request: HttpRequest, obj: APIKey | None) -> Any:
        """Return the lists that can hold something: both, for a secret key the IP list alone."""
        return tuple(inline for inline in self.inlines if _can_hold(inline.which, obj))

    def get_fieldsets(self, request: HttpRequest, obj: APIKey | None = None) -> Any:
        """Return the controls; those that offer one choice alone are left out."""
        conf = settings()
        secret = obj is not None and obj.kind == Kind.SECRET
        modes = ["domain_mode"] if len(conf.DOMAIN_MODES) > 1 and not secret else []
        modes += ["ip_mode"] if len(conf.IP_MODES) > 1 else []
        modes += ["condition"] if len(conf.CONDITIONS) > 1 else []
        paste = [
            PASTED[inline.which.field]
            for inline in cast("list[EntryInline]", self.get_inline_instances(request, obj))
            if inline.has_add_permission(request, obj)
        ]
        facts = ["token", "state", "creator", "created_at", "last_used_at", "revoked_at"]
        return [
            (None, {"fields": ["name", *FIXED, "expires_at", "enforcement"]}),
            *([(_("Security"), {"fields": [*modes, *paste]})] if modes or paste else []),
            *([(_("Facts"), {"fields": facts})] if obj is not None else []),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: APIKey | None = None) -> Any:
        """Return what cannot be typed; kind and environment are fixed once the key is made."""
        return self.readonly_fields if obj is None else (*self.readonly_fields, *FIXED)

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer what the settings let creators choose."""
        if db_field.name in CHOICES:
            allowed = getattr(settings(), CHOICES[db_field.name])
            labels = dict(db_field.flatchoices)
            kwargs["choices"] = [(value, labels[value]) for value in allowed]
            kwargs["initial"] = allowed[0]
        return super().formfield_for_choice_field(db_field, request, **kwargs)

    def get_form(
        self, request: HttpRequest, obj: APIKey | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form, which shows what the models refused a moment ago."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.refused = getattr(request, "allowlist_refused", None)
        # Fields that a form declares are in it whether or not they are on the page.
        on_page = flatten_fieldsets(self.get_fieldsets(request, obj))
        for name in PASTED.values():
            if name not in on_page:
                del form.base_fields[name]
        return form

    # How it is saved

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        """Show and save the form; if the models refuse, show it again with all that was typed."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except ValidationError as error:
            request.allowlist_refused = error  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: APIKey | None = None,
    ) -> HttpResponse:
        """Show the form, with the steps that may be taken."""
        steps = [step for step in STEPS.values() if obj is not None and step.is_for(request, obj)]
        return super().render_change_form(request, {**context, "steps": steps}, add, change, form_url, obj)

    def save_model(self, request: HttpRequest, obj: APIKey, form: Any, change: bool) -> None:
        """Write nothing yet: ``save_related`` writes the key with its lists, as one change."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Make or change the key with its lists, judged as a whole."""
        for formset in formsets:
            formset.save(commit=False)
        key = form.instance if change else self._create(request, form)
        duplicates: list[str] = []
        with key.editing() as edit:
            _ask_again(request, key)
            if change:
                write_fields(edit, form)

            def write(which: ListKind) -> None:
                rows = [formset for formset in formsets if formset.model.which is which]
                duplicates.extend(write_list(edit, which, form, rows))

            for_each_list(write)
        key.refresh_from_db()
        form.changed_data = [name for name in form.changed_data if name not in PASTED.values()]
        if duplicates:
            told = ", ".join(display(text) for text in duplicates)
            messages.info(request, _("Listed already: %(entries)s.") % {"entries": told})

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """Ask whether to delete the key, and do it."""
        try:
            with writing(router.db_for_write(APIKey)):
                return super().delete_view(request, object_id, extra_context)
        except ValidationError as error:
            return self._to_list(request, error)

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Take an action on the keys that were picked."""
        try:
            with writing(router.db_for_write(APIKey)):
                return super().response_action(request, *args, **kwargs)
        except ValidationError as error:
            return self._to_list(request, error)

    def delete_model(self, request: HttpRequest, obj: APIKey) -> None:
        """Delete the key."""
        with obj.locked():
            _ask_again(request, obj)
            obj.delete()

    def _create(self, request: HttpRequest, form: APIKeyForm) -> APIKey:
        """Make the key with its own fields; the form's instance becomes it."""
        names = [name for name in (*CHOSEN, *FIXED) if name in form.cleaned_data]
        fields = {name: form.cleaned_data[name] for name in names}
        made, token = APIKey.objects.create_key(creator=_person(request), **fields)
        key: APIKey = form.instance
        key.pk, key._state.adding, key._state.db = made.pk, False, made._state.db
        request.allowlist_token = token  # type: ignore[attr-defined]
        return key

    def response_add(
        self, request: HttpRequest, obj: APIKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the token, in this answer alone: it is stored in no message and no session.

        In a pop-up a publishable key, whose token its page shows always, goes to the field that asked.
        """
        if IS_POPUP_VAR in request.POST and obj.kind == Kind.PUBLISHABLE:
            return super().response_add(request, obj, post_url_continue)
        return self._token_page(request, obj, request.allowlist_token, _("The key has been made"))  # type: ignore[attr-defined]

    # Steps with a page of their own

    def get_urls(self) -> list[URLPattern]:
        """Return the admin's routes and those of the steps."""
        return [
            path(
                f"<path:object_id>/{step.name.replace('_', '-')}/",
                self.admin_site.admin_view(self.step_view),
                {"name": step.name},
                name=f"allowlist_apikey_{step.name}",
            )
            for step in STEPS.values()
        ] + super().get_urls()

    def step_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Ask whether a step is meant, and on POST take it."""
        key, step = self.get_object(request, object_id), STEPS[name]
        if not self.has_view_permission(request, key) or not step.may(request, key):
            raise PermissionDenied
        if step is not TAKE_OVER and not self.has_change_permission(request, key):
            raise PermissionDenied
        if step.done(request, key):
            messages.warning(request, str(step.done_message))
            return self._to_key(key)
        if request.method != "POST":
            return self._page(request, key, "confirm", f"{step.label}: {key.name}", step=step)
        try:
            with key.locked():
                return self._take(request, key, step)
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
            return self._to_key(key)

    def _take(self, request: HttpRequest, key: APIKey, step: Step) -> HttpResponse:
        if step is not TAKE_OVER:
            _ask_again(request, key)
        if step is ROTATE:
            token = key.rotate()
            self.log_change(request, key, _("Rotated the token."))
            return self._token_page(request, key, token, _("The key has a new token"))
        if step is REVOKE:
            key.revoke()
            said = _("Revoked the key.")
        else:
            said = _("Took the key over from %(creator)s.") % {"creator": key.creator or _("nobody")}
            key.take_over(_person(request))
        self.log_change(request, key, said)
        messages.success(request, said)
        return self._to_key(key)

    def _to_key(self, key: APIKey) -> HttpResponse:
        change = f"{self.admin_site.name}:allowlist_apikey_change"
        return HttpResponseRedirect(reverse(change, args=[key.pk]))

    def _to_list(self, request: HttpRequest, error: ValidationError) -> HttpResponse:
        messages.error(request, " ".join(error.messages))
        return HttpResponseRedirect(reverse(f"{self.admin_site.name}:allowlist_apikey_changelist"))

    def _token_page(self, request: HttpRequest, key: APIKey, token: str, title: str) -> HttpResponse:
        # Like all pages of the admin it is not stored: the site sends Cache-Control: no-store.
        return self._page(request, key, "token", title, token=token)

    def _page(
        self, request: HttpRequest, key: APIKey, template: str, title: str, **context: Any
    ) -> HttpResponse:
        request.current_app = self.admin_site.name
        shown = {**self.admin_site.each_context(request), "opts": self.opts, "original": key, "title": title}
        return TemplateResponse(request, f"admin/allowlist/apikey/{template}.html", {**shown, **context})
