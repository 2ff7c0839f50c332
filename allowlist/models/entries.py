"""Entries: the rows of a key's two lists. Every write passes the guard of their key."""

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.db import models, router
from django.utils import timezone
from django.utils.translation import gettext_lazy

from ..policy.decision import Mode
from ..policy.entries import display
from .edits import KeyEdit, editing, joined
from .list_rules import Key, needs_entries, plain_rows
from .lists import DOMAINS, IPS, ListKind, check_end, problem
from .locks import lock, write_alias, writing
from .tracked import TrackedModel

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class EntryQuerySet(models.QuerySet[Any]):
    """Entries: bulk writes pass the same guard as single ones, or raise and name the method."""

    def update(self, **kwargs: Any) -> int:
        """Update names; raise ValueError for anything that decides."""
        if kwargs.keys() - {"name"}:
            raise ValueError(
                "update() changes only the names of entries. Use the key's methods, such as "
                "restrict_domains()."
            )
        return super().update(**kwargs)

    def bulk_create(  # type: ignore[override]  # The rest is refused.
        self, objs: Iterable[Any], batch_size: int | None = None, **options: Any
    ) -> list[Any]:
        """Insert entries under their keys' guards, all or nothing.

        Raises ValidationError as ``save`` does, and TypeError for other options than ``batch_size``.
        """
        if any(options.values()):
            raise TypeError(
                f"bulk_create() of entries doesn't take {', '.join(sorted(options))}. Use the key's "
                "add_domains() or add_ips(), which skip what is listed already."
            )
        entries, alias = list(objs), write_alias(self)
        with writing(alias):
            # In the order in which lock() locks several, so that two writers don't wait for each other.
            for key_pk, of_key in groupby(sorted(entries, key=_key_order), key=_key_order):
                new = list(of_key)
                with editing(_keys(self.model, alias), key_pk, action=None) as edit:
                    edit.list(self.model.kind).admit_new(new)
                    super().bulk_create(new, batch_size)
        return entries

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the entries under their keys' guards, all or nothing."""
        alias = write_alias(self)
        pks = set(self.order_by().values_list("key_id", flat=True))
        with writing(alias):
            lock(_keys(self.model, alias), pks)
            deleted = super(EntryQuerySet, self.filter(key_id__in=pks)).delete()
            _refuse_empty_lists(self.model, alias, pks)
        return deleted

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


class EntryManager(models.Manager[Any]):
    """The manager behind ``AllowedDomain.objects`` and ``key.allowed_domains``."""

    def get_queryset(self) -> EntryQuerySet:
        """Return the entries, whose bulk writes pass the guard."""
        return EntryQuerySet(self.model, using=self._db)


def _key_order(entry: "Entry") -> Any:
    return entry.key_id or 0


def _keys(model: Any, alias: str) -> "models.QuerySet[Any]":
    """Return the rows of the model that ``model``'s entries belong to."""
    return plain_rows(model._meta.get_field("key").related_model, alias)


def _refuse_empty_lists(model: "type[Entry]", alias: str, pks: Collection[Any]) -> None:
    """Raise ValidationError if one of the keys, which are locked, may not be left without entries."""
    kind = model.kind
    left = plain_rows(model, alias).filter(key_id__in=pks).order_by().select_for_update()
    filled = set(left.values_list("key_id", flat=True))
    enabled = _keys(model, alias).filter(pk__in=set(pks) - filled, **{kind.mode: str(Mode.LISTED)})
    if any(needs_entries(key) for key in enabled.select_for_update()):
        raise problem(kind, str(kind.needs_entry), "empty_list")


class Entry(TrackedModel):
    """One entry of one of a key's lists."""

    name = models.CharField(
        gettext_lazy("name"),
        max_length=100,
        blank=True,
        validators=[ProhibitNullCharactersValidator()],
    )
    created_at = models.DateTimeField(gettext_lazy("created"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(gettext_lazy("expires"), null=True, blank=True)
    last_matched_at = models.DateTimeField(gettext_lazy("last matched"), null=True, editable=False)

    kind: ClassVar[ListKind]
    if TYPE_CHECKING:
        key: Key
        key_id: Any

    objects = EntryManager()

    class Meta:
        abstract = True
        # Related managers' add() and set() update through the base manager: an entry could move.
        base_manager_name = "objects"

    def __str__(self) -> str:
        """Return the entry as people write it, with its name."""
        shown = display(self.text)
        return f"{self.name}: {shown}" if self.name else shown

    def save(
        self,
        *,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Write the entry under its key's guard: limit, form, duplicates.

        Raises ValidationError if the guard refuses, ValueError if the entry would move to another key.
        """
        alias = using or router.db_for_write(type(self), instance=self)
        if not self._state.adding and "key_id" in self.changed():
            raise ValueError("An entry never moves to another key. Remove it here and add it there.")
        fields = self.changed_among(update_fields)
        self.clean_fields(exclude={field.name for field in self._meta.fields} - {"name", "expires_at"})
        with self._editing(alias) as edit:
            if self._state.adding:
                edit.list(self.kind).admit_new([self])
                super().save(force_insert=True, using=alias)
                self._remember()
            else:
                edit.list(self.kind).admit_changed(self, fields)
                super().save(force_update=force_update, update_fields=fields, using=alias)
                self._remember_once_committed(fields, alias)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the entry under its key's guard."""
        alias = using or router.db_for_write(type(self), instance=self)
        with self._editing(alias) as edit:
            edit.list(self.kind).note_removed([self])
            return super().delete(using=alias, keep_parents=keep_parents)

    @property
    def text(self) -> str:
        """Return the entry's canonical string, whichever list it is in."""
        return str(getattr(self, self.kind.column))

    @text.setter
    def text(self, value: str) -> None:
        setattr(self, self.kind.column, value)

    @property
    def in_force(self) -> bool:
        """Return whether the entry decides anything: not while its list is disabled, nor once it expired."""
        is_enabled = getattr(self.key, self.kind.mode) == Mode.LISTED
        return is_enabled and not self.has_expired(timezone.now())

    def has_expired(self, now: datetime) -> bool:
        """Return whether the entry has ended, and matches nothing any more."""
        return self.expires_at is not None and self.expires_at <= now

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Check the other fields; the text is left to ``clean``, which says what was meant."""
        super().clean_fields({*(exclude or ()), self.kind.column})

    def clean(self) -> None:
        """Check the text, and for a new entry whether its list takes another one.

        Raises ValidationError. A form learns here what ``save`` would refuse; ``save`` checks again
        under the key's lock.
        """
        super().clean()
        self.clean_text()
        self.clean_end()
        if self._state.adding and self.key_id is not None:
            KeyEdit(self.key).list(self.kind).check_room()

    def clean_text(self) -> None:
        """Make a changed text canonical, or raise ValidationError that says what is wrong with it."""
        if self._state.adding or self.kind.column in self.changed():
            try:
                self.text = self.kind.clean(self.text)
            except ValidationError as error:
                raise ValidationError({self.kind.column: error}) from None

    def clean_end(self) -> None:
        """Raise ValidationError for a changed end that is past, or too far away."""
        if self._state.adding or "expires_at" in self.changed():
            try:
                check_end(self.expires_at)
            except ValidationError as error:
                raise ValidationError({"expires_at": error}) from None

    def _editing(self, alias: str) -> AbstractContextManager[KeyEdit]:
        model: Any = type(self)
        is_loaded = model._meta.get_field("key").is_cached(self)
        under_way = joined(self.key, alias) if is_loaded else None
        return under_way or editing(_keys(model, alias), self.key_id)


def _once(column: str, name: str, message: "StrOrPromise") -> models.UniqueConstraint:
    return models.UniqueConstraint(fields=["key", column], name=name, violation_error_message=message)


class AllowedDomain(Entry):
    """A site that a key works from."""

    key = models.ForeignKey("allowlist.APIKey", on_delete=models.CASCADE, related_name=DOMAINS.field)
    domain = models.CharField(gettext_lazy("domain"), max_length=300)

    kind = DOMAINS

    class Meta(Entry.Meta):
        ordering = ("pk",)
        verbose_name = gettext_lazy("allowed domain")
        verbose_name_plural = gettext_lazy("allowed domains")
        constraints = [
            _once("domain", "allowlist_domain_once", gettext_lazy("This domain is in the list already."))
        ]


class AllowedIP(Entry):
    """An IP address or network that a key works from."""

    key = models.ForeignKey("allowlist.APIKey", on_delete=models.CASCADE, related_name=IPS.field)
    ip = models.CharField(gettext_lazy("IP address"), max_length=50)

    kind = IPS

    class Meta(Entry.Meta):
        ordering = ("pk",)
        verbose_name = gettext_lazy("allowed IP address")
        verbose_name_plural = gettext_lazy("allowed IP addresses")
        constraints = [
            _once("ip", "allowlist_ip_once", gettext_lazy("This IP address is in the list already."))
        ]
