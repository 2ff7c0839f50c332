"""Keys: their fields, and the methods that change them."""

import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.db import models, router
from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..conf import settings
from ..policy.decision import Condition, Mode
from ..policy.tokens import LOCATOR_LENGTH, Environment, Kind
from . import choices
from .announcements import announce
from .choices import Enforcement
from .edits import KeyEdit, editing, joined, report_change
from .entries import AllowedDomain, AllowedIP
from .explaining import KeyExplanation, explain_key
from .key_life import KeyLife
from .key_lists import KeyLists
from .keysets import WRITTEN_BY, KeyQuerySet, by_method, use_create_key
from .list_rules import plain_rows
from .lists import KINDS
from .locks import lock, writing
from .tracked import forget_prefetched

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from .blocked import BlockedSource


class APIKeyQuerySet(KeyQuerySet["APIKey"]):
    """The keys behind ``APIKey.objects``."""


class APIKey(KeyLists, KeyLife):
    """A key that works only from the places its creator listed."""

    name = models.CharField(
        gettext_lazy("name"), max_length=100, validators=[ProhibitNullCharactersValidator()]
    )
    creator = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="allowlist_keys",
        verbose_name=gettext_lazy("creator"),
    )
    kind = models.CharField(
        gettext_lazy("kind"), max_length=11, choices=choices.KINDS, default=str(Kind.PUBLISHABLE)
    )
    environment = models.CharField(
        gettext_lazy("environment"),
        max_length=4,
        choices=choices.ENVIRONMENTS,
        default=str(Environment.LIVE),
    )
    domain_mode = models.CharField(
        gettext_lazy("domains"), max_length=6, choices=choices.DOMAIN_MODES, default=str(Mode.ALL)
    )
    ip_mode = models.CharField(
        gettext_lazy("IP addresses"), max_length=6, choices=choices.IP_MODES, default=str(Mode.ALL)
    )
    condition = models.CharField(
        gettext_lazy("condition"), max_length=9, choices=choices.CONDITIONS, default=str(Condition.ALL)
    )
    enforcement = models.CharField(
        gettext_lazy("enforcement"),
        max_length=7,
        choices=choices.ENFORCEMENTS,
        default=str(Enforcement.ENFORCE),
    )
    locator = models.CharField(max_length=LOCATOR_LENGTH, unique=True, editable=False)
    token = models.CharField(gettext_lazy("token"), max_length=60, blank=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    previous_digest = models.CharField(max_length=64, blank=True, editable=False)
    previous_until = models.DateTimeField(null=True, editable=False)
    revision = models.UUIDField(default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(gettext_lazy("created"), default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(gettext_lazy("last used"), null=True, editable=False)
    expires_at = models.DateTimeField(gettext_lazy("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(gettext_lazy("revoked"), null=True, editable=False)

    if TYPE_CHECKING:
        creator_id: Any
        allowed_domains: RelatedManager["AllowedDomain"]
        allowed_ips: RelatedManager["AllowedIP"]
        blocked_sources: RelatedManager["BlockedSource"]

    objects = models.Manager.from_queryset(APIKeyQuerySet)()

    _edit: KeyEdit | None = None
    """The change that is under way on this instance."""

    class Meta:
        ordering = ("pk",)
        verbose_name = gettext_lazy("API key")
        verbose_name_plural = gettext_lazy("API keys")

    def __str__(self) -> str:
        """Return the name, and of the token only its start."""
        return f"{self.name} ({self.hint})"

    def save(
        self,
        *,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """Write what was changed of name, condition, enforcement and expiry.

        Raises TypeError for a new key (use ``APIKey.objects.create_key``), ValueError for a field that
        a method writes, ValidationError for a value that isn't allowed.
        """
        if self._state.adding or force_insert:
            raise use_create_key()
        for name in self.changed():
            if name in WRITTEN_BY:
                raise by_method(name, WRITTEN_BY[name])
        fields = self.changed_among(update_fields)
        if not fields:
            return
        self.check_fields(fields)
        alias = using or router.db_for_write(type(self), instance=self)
        with self._editing(alias) as edit:
            super().save(force_update=force_update, update_fields=fields, using=alias)
            edit.saved({name: getattr(self, name) for name in fields})
            self._remember_once_committed(fields, alias)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the key and its lists. It is locked first, so that no entry is added in the meantime."""
        alias = using or router.db_for_write(type(self), instance=self)
        gone = copy(self)  # Django takes the primary key of the one it deletes.
        with writing(alias):
            if self._edit is not None or lock(self._rows(alias), [self.pk]):
                report_change(gone, "deleted", {}, alias)
            return super().delete(using=alias, keep_parents=keep_parents)

    @property
    def hint(self) -> str:
        """Return the start of the token, by which people tell keys apart. It opens nothing."""
        return f"{'sk' if self.kind == Kind.SECRET else 'pk'}_{self.environment}_{self.locator}…"

    @contextmanager
    def editing(self) -> Iterator[KeyEdit]:
        """Lock the row for one change that is judged as a whole at the end of the block.

        The methods of this instance that the block calls are part of the change.
        """
        with self._editing(router.db_for_write(type(self), instance=self)) as edit:
            yield edit

    def explain(
        self,
        origin: str | None = None,
        referer: str | None = None,
        sec_fetch_site: str | None = None,
        ip: str | IPv4Address | IPv6Address | None = None,
    ) -> KeyExplanation:
        """Return what a real request with these headers from this address would get, and why.

        ``origin``, ``referer`` and ``sec_fetch_site`` are the headers' values, None if absent; ``ip`` is
        the client's address, None if unknown. The key and its lists are read again. Raises ValueError
        for an ``ip`` that isn't an address.
        """
        alias = router.db_for_write(type(self), instance=self)
        return explain_key(self._rows(alias).get(pk=self.pk), origin, referer, sec_fetch_site, ip)

    def check_fields(self, names: Collection[str]) -> None:
        """Raise ValidationError, by field, unless the named fields hold what may be chosen."""
        unchecked = {field.name for field in self._meta.fields if field.name not in names}
        self.clean_fields(exclude=unchecked)
        if "expires_at" in names and self.expires_at and not 1 < self.expires_at.year < 9999:
            # Databases and time zones count past such a date's end.
            sentence = _("This date is too far away. Leave it empty for a key that does not expire.")
            raise ValidationError({"expires_at": ValidationError(sentence, code="overflow")})
        offered = {kind.mode: kind.modes_for(self.kind) for kind in KINDS}
        for name, values in {**offered, "condition": settings().CONDITIONS}.items():
            if name in names and getattr(self, name) not in values:
                sentence = _("Choose one of: %(choices)s.") % {"choices": ", ".join(values)}
                raise ValidationError({name: ValidationError(sentence, code="invalid_choice")})

    # A template that names it must not call it.
    editing.alters_data = True  # type: ignore[attr-defined]

    def _rows(self, alias: str) -> "models.QuerySet[Any]":
        return plain_rows(type(self), alias)

    @contextmanager
    def _editing(self, alias: str) -> Iterator[KeyEdit]:
        with joined(self, alias) or editing(self._rows(alias), self.pk) as edit:
            self._edit, before = edit, self._edit
            try:
                yield edit
            finally:
                self._edit = before
        for name, value in edit.written.items():
            setattr(self, name, value)
        self._remember(edit.written)
        forget_prefetched(self, [kind.field for kind in KINDS])


@receiver(models.signals.pre_delete, sender=APIKey)
def _announce_deletion(instance: APIKey, using: str, **kwargs: Any) -> None:
    """Announce a deleted key, also when a cascade deletes it."""
    announce(plain_rows(APIKey, using).filter(pk=instance.pk), using)


@receiver(models.signals.pre_delete, sender=django_settings.AUTH_USER_MODEL)
def _announce_loss_of_creator(instance: Any, using: str, **kwargs: Any) -> None:
    """Announce the keys of a deleted user: the database clears their creator."""
    announce(plain_rows(APIKey, using).filter(creator_id=instance.pk), using)
