"""Keys and what they list; every write that keeps a rule is here or in ``edits``."""

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.db import models, router, transaction
from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..conf import settings
from ..policy.decision import Condition, Mode
from ..policy.entries import display
from ..policy.tokens import LOCATOR_LENGTH, Environment, Kind, Token
from .announcements import announce
from .edits import (
    DOMAINS,
    IPS,
    Added,
    Edit,
    EntryInput,
    ListKind,
    editing,
    for_each_list,
    lock,
    locked,
    pairs,
    writing,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
    from django.db.models.fields.related_descriptors import RelatedManager

LONGEST_OVERLAP = timedelta(days=365)

DOMAIN_MODE_CHOICES = [
    (str(Mode.ALL), gettext_lazy("Allow all domains")),
    (str(Mode.LISTED), gettext_lazy("Allow only listed domains")),
]
IP_MODE_CHOICES = [
    (str(Mode.ALL), gettext_lazy("Allow all IPs")),
    (str(Mode.LISTED), gettext_lazy("Allow only listed IPs")),
]
CONDITION_CHOICES = [
    (str(Condition.ALL), gettext_lazy("Domain and IP must both match")),
    (str(Condition.ANY), gettext_lazy("Domain or IP can match")),
    (str(Condition.BY_SOURCE), gettext_lazy("Browsers by domain, servers by IP")),
]
KIND_CHOICES = [
    (str(Kind.PUBLISHABLE), gettext_lazy("Publishable: for a page's source")),
    (str(Kind.SECRET), gettext_lazy("Secret: for servers only")),
]
ENVIRONMENT_CHOICES = [
    (str(Environment.LIVE), gettext_lazy("Live")),
    (str(Environment.TEST), gettext_lazy("Test")),
]
ENFORCE, REPORT = "enforce", "report"
ENFORCEMENT_CHOICES = [
    (ENFORCE, gettext_lazy("Refuse what is not listed")),
    (REPORT, gettext_lazy("Serve it and report it")),
]


class TrackedModel(models.Model):
    """A row whose ``save`` writes only what this instance changed since it was loaded.

    An instance loaded long ago therefore never carries a stale value back over somebody's change.
    """

    _loaded: Mapping[str, Any] = {}

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        """Build the instance and remember what was loaded."""
        instance = super().from_db(*args, **kwargs)
        instance._remember()
        return instance

    def refresh_from_db(
        self, using: str | None = None, fields: Iterable[str] | None = None, from_queryset: Any = None
    ) -> None:
        """Load anew and remember what was loaded."""
        fields = None if fields is None else list(fields)
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)
        self._remember(fields)

    def changed(self) -> list[str]:
        """Return the attribute names of the fields that differ from what was loaded."""
        missing = object()
        return [name for name, value in self._held() if value != self._loaded.get(name, missing)]

    def _held(self) -> Iterator[tuple[str, Any]]:
        for field in self._meta.concrete_fields:
            if field.attname in self.__dict__:
                yield field.attname, self.__dict__[field.attname]

    def _remember(self, names: Collection[str] | None = None) -> None:
        held = self._held()
        if names is not None:
            attnames = {
                field.attname
                for field in self._meta.concrete_fields
                if field.name in names or field.attname in names
            }
            held = ((name, value) for name, value in held if name in attnames)
        self._loaded = {**self._loaded, **dict(held)}

    def _remember_once_committed(self, names: Collection[str], alias: str | None) -> None:
        """Remember what ``save`` wrote when it is sure: until then the next ``save`` writes it again.

        That holds for the value it had before, too: in this transaction the row has another.
        """
        written = {name: self.__dict__[name] for name in names}
        self._loaded = {name: value for name, value in self._loaded.items() if name not in written}

        def remember() -> None:
            self._loaded = {**self._loaded, **written}

        transaction.on_commit(remember, using=alias)


KEY_FIELDS = frozenset(
    {"kind", "environment", "domain_mode", "ip_mode", "condition", "enforcement", "expires_at"}
)
"""What ``create_key`` takes besides the name, the creator and the lists."""

WRITTEN_BY = {
    "id": "nobody: it stays what create_key() made it",
    "domain_mode": "restrict_domains() or allow_all_domains()",
    "ip_mode": "restrict_ips() or allow_all_ips()",
    "kind": "create_key(): a key's kind is fixed for good",
    "environment": "create_key(): a key's environment is fixed for good",
    "locator": "create_key()",
    "token": "rotate()",
    "digest": "rotate()",
    "previous_digest": "rotate()",
    "previous_until": "rotate()",
    "revision": "the methods that change a key's lists",
    "created_at": "create_key()",
    "creator_id": "take_over()",
    "revoked_at": "revoke()",
    "last_used_at": "nobody but the permission, when it serves a request",
}
"""Fields that ``save`` does not write, and what does."""

_BEYOND_UPDATE = WRITTEN_BY.keys() - {"creator_id", "revoked_at", "last_used_at", "created_at"}


class APIKeyQuerySet(models.QuerySet["APIKey"]):
    """Keys: how they are made, and whose they are."""

    def create_key(
        self,
        *,
        name: str,
        creator: "AbstractBaseUser | None",
        allowed_domains: Iterable[EntryInput] = (),
        allowed_ips: Iterable[EntryInput] = (),
        **fields: Any,
    ) -> "tuple[APIKey, str]":
        """Make a key and return it with its token, which for a secret key is never seen again.

        Entries are texts or (name, text) pairs; a list given turns its mode on where the settings
        allow both modes. ``fields``: kind, environment, domain_mode, ip_mode, condition,
        enforcement, expires_at. All or nothing; raises ValidationError, with one error an entry.
        """
        if unknown := fields.keys() - KEY_FIELDS:
            raise TypeError(f"create_key() takes no {', '.join(sorted(unknown))}.")
        if creator is not None and creator.pk is None:
            raise ValueError("create_key() takes a creator who is saved, or None.")
        self._for_write = True
        fields = {"condition": settings().CONDITIONS[0], **fields}
        key = self.model(name=name, creator_id=None if creator is None else creator.pk, **fields)
        with writing(self.db):
            token = key._insert(self.db, fields.keys())
            with key.editing() as edit:

                def start(which: ListKind) -> None:
                    entries = allowed_domains if which is DOMAINS else allowed_ips
                    _start_list(edit, which, entries, fields.get(which.mode))

                for_each_list(start)
        return key, token

    def manageable_by(self, user: "AbstractBaseUser | AnonymousUser") -> Self:
        """Return the keys that ``user`` may see and change: those they created, nobody else's."""
        if user.pk is None or not user.is_authenticated:
            return self.none()
        return self.filter(creator_id=user.pk)

    def update(self, **kwargs: Any) -> int:
        """Update fields that no rule ties to others; raise ValidationError for the rest."""
        for name in kwargs:
            if name in _BEYOND_UPDATE:
                raise _by_method(name)
        rows = super().update(**kwargs)
        if kwargs.keys() - {"last_used_at"}:
            announce(None, self.db)
        return rows

    def bulk_create(self, *args: Any, **kwargs: Any) -> "list[APIKey]":
        """Raise ValidationError: a key's token would be lost."""
        raise _use_create_key()

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the keys; each is locked before, so that no entry is added to it meanwhile."""
        self._for_write = True
        keys = sorted(self.order_by().values_list("pk", flat=True), key=str)
        with writing(self.db):
            for key in keys:
                lock(models.QuerySet(APIKey), key, self.db)
            return super(APIKeyQuerySet, self.filter(pk__in=keys)).delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


def _start_list(edit: Edit, which: ListKind, given_entries: Iterable[EntryInput], given: str | None) -> None:
    """Give a new key's list its mode and entries."""
    entries = pairs(which, given_entries)
    modes = edit.modes(which)
    mode = given or (Mode.LISTED if entries and Mode.LISTED in modes else modes[0])
    turned = mode if given or mode == Mode.LISTED else None
    edit.set(which, turned, entries)


def _by_method(name: str) -> ValidationError:
    sentence = _("“%(field)s” is not written by hand but by %(method)s.")
    return ValidationError(sentence % {"field": name, "method": WRITTEN_BY[name]}, code="by_method")


def _use_create_key() -> ValidationError:
    sentence = _("Make keys with APIKey.objects.create_key(), which gives you the token.")
    return ValidationError(sentence, code="by_method")


class APIKey(TrackedModel):
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
        gettext_lazy("kind"), max_length=11, choices=KIND_CHOICES, default=str(Kind.PUBLISHABLE)
    )
    environment = models.CharField(
        gettext_lazy("environment"),
        max_length=4,
        choices=ENVIRONMENT_CHOICES,
        default=str(Environment.LIVE),
    )
    domain_mode = models.CharField(
        gettext_lazy("domains"), max_length=6, choices=DOMAIN_MODE_CHOICES, default=str(Mode.ALL)
    )
    ip_mode = models.CharField(
        gettext_lazy("IP addresses"), max_length=6, choices=IP_MODE_CHOICES, default=str(Mode.ALL)
    )
    condition = models.CharField(
        gettext_lazy("condition"), max_length=9, choices=CONDITION_CHOICES, default=str(Condition.ALL)
    )
    enforcement = models.CharField(
        gettext_lazy("enforcement"), max_length=7, choices=ENFORCEMENT_CHOICES, default=ENFORCE
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

    objects = models.Manager.from_queryset(APIKeyQuerySet)()

    class Meta:
        ordering = ("pk",)
        verbose_name = gettext_lazy("API key")
        verbose_name_plural = gettext_lazy("API keys")

    def __str__(self) -> str:
        """Return the name; nothing of the token but its start."""
        return f"{self.name} ({self.hint})"

    def save(self, **kwargs: Any) -> None:
        """Write what was changed of name, condition, enforcement and expiry.

        Raises ValidationError for a field that a method writes, and for a new key: use
        ``APIKey.objects.create_key``.
        """
        if self._state.adding or kwargs.get("force_insert"):
            raise _use_create_key()
        changed = self.changed()
        for name in changed:
            if name in WRITTEN_BY:
                raise _by_method(name)
        alias = kwargs.pop("using", None) or router.db_for_write(type(self), instance=self)
        wanted = kwargs.pop("update_fields", None)
        fields = [name for name in changed if wanted is None or name in wanted]
        if not fields:
            return
        self._check(fields)
        with writing(alias):
            super().save(update_fields=fields, using=alias, **kwargs)
            announce(models.QuerySet(type(self), using=alias).filter(pk=self.pk), alias)
            self._remember_once_committed(fields, alias)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the key and its lists; it is locked before, so that no entry is added meanwhile."""
        alias = using or router.db_for_write(type(self), instance=self)
        with writing(alias):
            lock(models.QuerySet(type(self)), self.pk, alias)
            return super().delete(using=alias, keep_parents=keep_parents)

    @property
    def hint(self) -> str:
        """Return the start of the token, by which people tell keys apart; it opens nothing."""
        return f"{'sk' if self.kind == Kind.SECRET else 'pk'}_{self.environment}_{self.locator}…"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the row for the block, so that what is asked of it there still holds when it is written."""
        with locked(models.QuerySet(type(self)), self.pk, router.db_for_write(type(self), instance=self)):
            yield

    @contextmanager
    def editing(self) -> Iterator[Edit]:
        """Lock the row for one change to the lists that is judged as a whole; see ``edits``."""
        alias = router.db_for_write(type(self), instance=self)
        with editing(models.QuerySet(type(self)), self.pk, alias) as edit:
            yield edit
        for name, value in edit.written.items():
            setattr(self, name, value)
        self._remember(edit.written)
        for which in (DOMAINS, IPS):
            getattr(self, "_prefetched_objects_cache", {}).pop(which.field, None)

    def restrict_domains(self, entries: Iterable[EntryInput] | None = None) -> None:
        """Allow only listed domains: exactly ``entries``, or those listed already where None."""
        with self.editing() as edit:
            edit.restrict(DOMAINS, entries)

    def add_domains(self, entries: Iterable[EntryInput]) -> Added:
        """List more domains; those listed already are skipped and told in the answer."""
        with self.editing() as edit:
            return edit.add(DOMAINS, entries)

    def remove_domains(self, entries: Iterable[EntryInput]) -> None:
        """Take domains off the list."""
        with self.editing() as edit:
            edit.remove(DOMAINS, entries)

    def allow_all_domains(self) -> None:
        """Stop restricting by domain and empty the list."""
        with self.editing() as edit:
            edit.allow_all(DOMAINS)

    def restrict_ips(self, entries: Iterable[EntryInput] | None = None) -> None:
        """Allow only listed addresses: exactly ``entries``, or those listed already where None."""
        with self.editing() as edit:
            edit.restrict(IPS, entries)

    def add_ips(self, entries: Iterable[EntryInput]) -> Added:
        """List more addresses; those listed already are skipped and told in the answer."""
        with self.editing() as edit:
            return edit.add(IPS, entries)

    def remove_ips(self, entries: Iterable[EntryInput]) -> None:
        """Take addresses off the list."""
        with self.editing() as edit:
            edit.remove(IPS, entries)

    def allow_all_ips(self) -> None:
        """Stop restricting by address and empty the list."""
        with self.editing() as edit:
            edit.allow_all(IPS)

    def rotate(self, overlap: timedelta = timedelta(0)) -> str:
        """Give the key a new token and return it; the old one works for ``overlap`` longer.

        Raises ValidationError for a revoked key, a negative overlap or one of more than a year.
        """
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise ValidationError(_("The overlap is between 0 and 365 days."), code="overlap")
        with self.editing() as edit:
            row = edit.key
            if row.revoked_at is not None:
                raise ValidationError(_("This key is revoked. Make a new one."), code="revoked")
            token = Token.make(Kind(row.kind), Environment(row.environment), row.locator)
            edit.write(
                token="" if row.kind == Kind.SECRET else token.text,
                digest=token.digest,
                previous_digest=row.digest if overlap else "",
                previous_until=timezone.now() + overlap if overlap else None,
            )
        return token.text

    def revoke(self) -> None:
        """End the key for good."""
        with self.editing() as edit:
            edit.write(revoked_at=edit.key.revoked_at or timezone.now())

    def take_over(self, user: "AbstractBaseUser") -> None:
        """Make ``user`` the key's creator. Whoever calls this decides who may."""
        with self.editing() as edit:
            edit.write(creator_id=user.pk)

    # A template that names one of them must not call it: {{ key.rotate }} would end the token in use.
    _writes: Any
    for _writes in (
        *(restrict_domains, add_domains, remove_domains, allow_all_domains),
        *(restrict_ips, add_ips, remove_ips, allow_all_ips),
        *(rotate, revoke, take_over, editing, locked),
    ):
        _writes.alters_data = True
    del _writes

    def _insert(self, alias: str, given: Collection[str]) -> str:
        """Write a new row with both lists off and return its token."""
        self._check(["name", *given])
        token = Token.make(Kind(self.kind), Environment(self.environment))
        self.locator, self.digest = token.locator, token.digest
        self.token = "" if self.kind == Kind.SECRET else token.text
        self.domain_mode = self.ip_mode = str(Mode.ALL)
        super().save(force_insert=True, using=alias)
        self._remember()
        return token.text

    def _check(self, names: Collection[str]) -> None:
        """Raise ValidationError, by field, unless the named fields hold what may be chosen."""
        unchecked = {field.name for field in self._meta.fields if field.name not in names}
        self.clean_fields(exclude=unchecked)
        if "expires_at" in names and self.expires_at and not 1 < self.expires_at.year < 9999:
            # Databases and time zones count past such a date's end.
            sentence = _("This date is too far away. Leave it empty for a key that does not expire.")
            raise ValidationError({"expires_at": ValidationError(sentence, code="overflow")})
        conf = settings()
        for name, choices in (
            ("domain_mode", (Mode.ALL,) if self.kind == Kind.SECRET else conf.DOMAIN_MODES),
            ("ip_mode", conf.IP_MODES),
            ("condition", conf.CONDITIONS),
        ):
            if name in names and getattr(self, name) not in choices:
                sentence = _("Choose one of: %(choices)s.") % {"choices": ", ".join(choices)}
                raise ValidationError({name: ValidationError(sentence, code="invalid_choice")})


@receiver(models.signals.pre_delete, sender=APIKey)
def _announce_deletion(instance: APIKey, using: str, **kwargs: Any) -> None:
    """Announce a key that goes, also where what it is linked to takes it along."""
    announce(models.QuerySet(APIKey, using=using).filter(pk=instance.pk), using)


@receiver(models.signals.pre_delete, sender=django_settings.AUTH_USER_MODEL)
def _announce_loss_of_creator(instance: Any, using: str, **kwargs: Any) -> None:
    """Announce the keys of a user who goes: the database takes the creator out of them."""
    announce(models.QuerySet(APIKey, using=using).filter(creator_id=instance.pk), using)


class EntryQuerySet(models.QuerySet[Any]):
    """Entries: bulk writes pass the same guard as single ones, or raise and name the method."""

    def update(self, **kwargs: Any) -> int:
        """Update names; raise ValidationError for anything that decides."""
        if kwargs.keys() - {"name"}:
            raise ValidationError(
                _("update() changes entries' names only. Use the key's methods, such as restrict_domains()."),
                code="by_method",
            )
        return super().update(**kwargs)

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Save each entry under its key's guard, all or nothing; options are refused."""
        if any(args) or any(kwargs.values()):
            raise ValidationError(
                _("bulk_create() of entries takes no options. Use the key's add_domains() or add_ips()."),
                code="by_method",
            )
        entries = list(objs)
        self._for_write = True
        with writing(self.db):
            # In the order in which delete() locks keys, so that neither waits for the other.
            for entry in sorted(entries, key=lambda entry: str(entry.key_id)):
                entry.save(using=self.db)
        return entries

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the entries under their keys' guards, all or nothing."""
        self._for_write = True
        keys = sorted(set(self.order_by().values_list("key_id", flat=True)), key=str)
        with ExitStack() as stack:
            stack.enter_context(writing(self.db))
            for key in keys:
                edit = stack.enter_context(editing(models.QuerySet(APIKey), key, self.db))
                edit.shrink(self.model.which)
            return super(EntryQuerySet, self.filter(key_id__in=keys)).delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


class Entry(TrackedModel):
    """One entry of one of a key's lists."""

    name = models.CharField(
        gettext_lazy("name"),
        max_length=100,
        blank=True,
        validators=[ProhibitNullCharactersValidator()],
    )
    created_at = models.DateTimeField(gettext_lazy("created"), default=timezone.now, editable=False)

    which: ClassVar[ListKind]
    if TYPE_CHECKING:
        key: APIKey
        key_id: Any

    objects = models.Manager.from_queryset(EntryQuerySet)()

    class Meta:
        abstract = True
        # Related managers' add() and set() update through the base manager: an entry could move.
        base_manager_name = "objects"

    def __str__(self) -> str:
        """Return the entry as people write it, with its name."""
        shown = display(self.text)
        return f"{self.name}: {shown}" if self.name else shown

    def save(self, **kwargs: Any) -> None:
        """Write the entry under its key's guard: limit, form, duplicates.

        Raises ValidationError where the guard refuses, or where the entry would move to another key.
        """
        alias = kwargs.pop("using", None) or router.db_for_write(type(self), instance=self)
        wanted = kwargs.pop("update_fields", None)
        insert = self._state.adding
        if not insert and "key_id" in self.changed():
            raise ValidationError(
                _("An entry never moves to another key. Add it there and remove it here."), code="moved"
            )
        self.clean_fields(exclude={field.name for field in self._meta.fields} - {"name"})
        with editing(models.QuerySet(APIKey), self.key_id, alias) as edit:
            edit.check_entry(self.which, self, insert)
            fields = [name for name in self.changed() if wanted is None or name in wanted]
            if insert:
                super().save(force_insert=True, using=alias)
                self._remember()
            else:
                super().save(update_fields=fields, using=alias)
                self._remember_once_committed(fields, alias)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        """Delete the entry under its key's guard."""
        alias = using or router.db_for_write(type(self), instance=self)
        with editing(models.QuerySet(APIKey), self.key_id, alias) as edit:
            edit.shrink(self.which)
            return super().delete(using=alias, keep_parents=keep_parents)

    @property
    def text(self) -> str:
        """Return the entry's text, whichever list it is of."""
        return str(getattr(self, self.which.column))

    @text.setter
    def text(self, value: str) -> None:
        setattr(self, self.which.column, value)

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Check the other fields; the text is left to ``clean``, which says what was meant."""
        super().clean_fields({*(exclude or ()), self.which.column})

    def clean(self) -> None:
        """Make the text canonical, or raise ValidationError that says what is wrong with it."""
        super().clean()
        if self._state.adding or self.which.column in self.changed():
            try:
                self.text = self.which.clean(self.text)
            except ValidationError as error:
                raise ValidationError({self.which.column: error}) from None


class AllowedDomain(Entry):
    """A site a key works from."""

    key = models.ForeignKey(APIKey, on_delete=models.CASCADE, related_name=DOMAINS.field)
    domain = models.CharField(gettext_lazy("domain"), max_length=300)

    which = DOMAINS

    class Meta(Entry.Meta):
        ordering = ("pk",)
        verbose_name = gettext_lazy("allowed domain")
        verbose_name_plural = gettext_lazy("allowed domains")
        constraints = [
            models.UniqueConstraint(
                fields=["key", "domain"],
                name="allowlist_domain_once",
                violation_error_message=gettext_lazy("This domain is in the list already."),
            )
        ]


class AllowedIP(Entry):
    """An address or network a key works from."""

    key = models.ForeignKey(APIKey, on_delete=models.CASCADE, related_name=IPS.field)
    ip = models.CharField(gettext_lazy("source IP"), max_length=50)

    which = IPS

    class Meta(Entry.Meta):
        ordering = ("pk",)
        verbose_name = gettext_lazy("allowed IP")
        verbose_name_plural = gettext_lazy("allowed IPs")
        constraints = [
            models.UniqueConstraint(
                fields=["key", "ip"],
                name="allowlist_ip_once",
                violation_error_message=gettext_lazy("This IP is in the list already."),
            )
        ]
