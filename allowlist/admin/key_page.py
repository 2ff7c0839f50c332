"""A key's page: its fields, what it says above them, and the order of its parts."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..forms.key_fields import FIXED, PASTED, controls, show_left_out
from ..forms.pasting import offer
from ..forms.rows import can_hold
from ..forms.summary import STATUS_LABELS, count_entries, count_label, is_open, old_token_until, summary
from ..models import APIKey
from ..models.explaining import status_here
from ..models.lists import KINDS
from ..policy.tokens import Kind
from .blocked_page import BlockedMixin
from .inlines import EntryInline
from .layout import Section, list_fieldsets, sections

LIFE = ("created_by", "created_at", "last_used_at", "revoked_at")


class KeyPageMixin(BlockedMixin):
    """The page on which a key is created, read and changed."""

    class Media:
        css = {"all": ["allowlist/admin.css"]}
        js = ["allowlist/copy.js"]

    @admin.display(description=gettext_lazy("status"))
    def status(self, key: APIKey) -> str:
        """Return whether the key works, in words."""
        return str(STATUS_LABELS[status_here(key)])

    @admin.display(description=gettext_lazy("token"))
    def shown_token(self, key: APIKey) -> SafeString | str:
        """Return the token; of a secret key, only how it starts."""
        if key.kind == Kind.SECRET:
            return _("%(start)s The token was shown once. If it is lost, rotate the key.") % {
                "start": key.hint
            }
        shown = '<code data-allowlist-copy="{}" data-allowlist-copied="{}">{}</code>'
        return format_html(shown, _("Copy"), _("Copied"), key.token)

    @admin.display(description=gettext_lazy("creator"))
    def created_by(self, key: APIKey) -> str:
        """Return the key's creator, and whether they can still log in."""
        creator = key.creator
        if creator is None:
            return _("Deleted user. The key keeps working; a superuser can take it over.")
        if not creator.is_active:
            return _("%(creator)s (deactivated). The key keeps working; a superuser can take it over.") % {
                "creator": creator
            }
        return str(creator)

    def get_inlines(self, request: HttpRequest, obj: APIKey | None) -> Any:
        """Return the inlines without a list that can hold nothing, such as a secret key's domains."""
        return [
            inline
            for inline in self.inlines
            if not issubclass(inline, EntryInline) or can_hold(inline.model.kind, obj)
        ]

    def get_fieldsets(self, request: HttpRequest, obj: APIKey | None = None) -> Any:
        """Return the fields, without the controls that offer only one choice."""
        lists = [each for each in self.get_inline_instances(request, obj) if isinstance(each, EntryInline)]
        paste = [PASTED[each.model.kind.field] for each in lists if each.has_add_permission(request, obj)]
        chosen = controls("" if obj is None else obj.kind)
        fixed = [*FIXED, "expires_at"]
        judged = [*(name for name in chosen if name == "condition"), "enforcement"]
        life = ["shown_token", "status", *fixed, *LIFE]
        return [
            (None, {"fields": ["name", *(fixed if obj is None else ())]}),
            *list_fieldsets(chosen, paste),
            (_("What is blocked"), {"fields": judged}),
            *([(_("Token and life"), {"fields": life})] if obj is not None else []),
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
        if obj is not None and request.method == "GET":
            show_left_out(request, form, obj)
        return form

    def get_formset_kwargs(self, request: HttpRequest, obj: APIKey, inline: Any, prefix: str) -> Any:
        """Return what a formset is built with; a list shows the page of rows that the address asks for."""
        query = {"query": request.GET} if isinstance(inline, EntryInline) else {}
        return {**super().get_formset_kwargs(request, obj, inline, prefix), **query}

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: APIKey | None = None,
    ) -> HttpResponse:
        """Show the form: what the key allows in one sentence, and all about each list together."""
        fieldsets, inlines = list(context["adminform"]), list(context["inline_admin_formsets"])
        found = sections(fieldsets, inlines)
        listed = [part for each in found for part in (each.mode, each.inline, each.paste)]
        rest = [each for each in fieldsets if each not in listed]
        context |= {
            "first_fieldsets": rest[:1],
            "sections": found,
            "last_fieldsets": rest[1:],
            "inline_admin_formsets": [each for each in inlines if each not in listed],
        }
        form = context["adminform"].form
        for each in found if form.is_bound else ():
            entries = [] if obj is None else getattr(obj, each.kind.field).all()
            each.offer = offer(each.kind, form.in_box(each.kind), {entry.text for entry in entries})
        context["has_offer"] = any(each.offer for each in found)
        if obj is not None:
            # What was typed and refused is on the object too, but not in force.
            stored = obj if request.method != "POST" else self.get_object(request, str(obj.pk))
            context |= self._said(stored, found)
            steps = self.offered_steps(request, stored)
            for each in found:
                each.steps = [step for step in steps if step.kind is each.kind]
            context["steps"] = [step for step in steps if step.kind is None and not step.is_about_blocked]
            context |= self.blocked_context(request, stored, steps)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _said(self, key: Any, found: list[Section]) -> dict[str, Any]:
        counts = {kind: count_entries(key, kind) for kind in KINDS}
        for each in found:
            each.count = count_label(counts[each.kind].total, each.kind.limit)
        open_ = is_open(key, *(count.total for count in counts.values()))
        return {
            "summary": summary(key, *counts.values()),
            "is_open": open_,
            "old_token_until": old_token_until(key),
        }
