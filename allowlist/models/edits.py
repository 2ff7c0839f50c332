"""One change to one key's lists: everything under a lock on the key's row, judged as a whole.

The lock is an UPDATE that renews the key's revision, and it is the transaction's first statement.
So it serialises writers on SQLite too, where ``select_for_update`` does nothing, and every process
sees at its next request that the key changed (see ``lookup``). The revision is random, not counted:
a number that was rolled back would come again with other entries behind it.
"""

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import OperationalError, models, transaction
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..conf import settings
from ..policy.decision import Mode
from ..policy.entries import parse_domain
from ..policy.networks import parse_ip
from ..policy.problems import EntryError
from ..policy.tokens import Kind
from ..validators import clean_domain, clean_ip, shown
from .announcements import announce

if TYPE_CHECKING:
    from .keys import APIKey, Entry

MOST_AT_ONCE = 10_000
"""How many entries one write takes, whatever the limits: more would keep the server busy for seconds."""
MOST_ERRORS = 100
"""How many entries are told to be wrong at once; the rest is told once these are right."""

EntryInput = str | tuple[str | None, str]
"""What a list is made of: a text, or a (name, text) pair; with a name of None the text is meant alone."""


@dataclass(frozen=True, slots=True)
class ListKind:
    """What tells a key's two lists apart."""

    field: str
    """The key's related name of the entries, and the name errors are told under."""
    title: Promise
    mode: str
    column: str
    limit: str
    modes: str
    clean: Callable[[str], str]
    parse: Callable[[str], Any]


DOMAINS = ListKind(
    "allowed_domains",
    gettext_lazy("Domains"),
    "domain_mode",
    "domain",
    "MAX_DOMAINS",
    "DOMAIN_MODES",
    clean_domain,
    parse_domain,
)
IPS = ListKind(
    "allowed_ips", gettext_lazy("IP addresses"), "ip_mode", "ip", "MAX_IPS", "IP_MODES", clean_ip, parse_ip
)


@dataclass(frozen=True, slots=True)
class Added:
    """What ``add_domains`` and ``add_ips`` did: the new entries, and the texts listed already."""

    entries: "list[Entry]"
    duplicates: list[str]


CONTENTION = {
    # PostgreSQL's SQLSTATE: deadlock, serialization failure, lock not available.
    "40P01",
    "40001",
    "55P03",
    # MariaDB's and MySQL's error number: deadlock, lock wait timeout.
    1213,
    1205,
    # SQLite's name: somebody else writes, on this or another connection.
    "SQLITE_BUSY",
    "SQLITE_BUSY_SNAPSHOT",
    "SQLITE_LOCKED",
}
"""What databases say where the same would succeed a moment later."""


@contextmanager
def writing(alias: str) -> Iterator[None]:
    """Make the block's writes all or nothing; raise ValidationError where others are in their way."""
    try:
        with transaction.atomic(using=alias):
            yield
    except OperationalError as error:
        if not _is_contention(error):
            raise
        sentence = _("Somebody else is changing this at the same moment. Nothing was changed; try again.")
        raise ValidationError(sentence, code="busy") from error


def _is_contention(error: OperationalError) -> bool:
    cause = error.__cause__
    said = {getattr(cause, "sqlstate", None), getattr(cause, "sqlite_errorname", None), *error.args[:1]}
    return not CONTENTION.isdisjoint(said)


def for_each_list(do: Callable[[ListKind], None]) -> None:
    """Call ``do`` for both lists; raise one ValidationError with what is wrong with either.

    Where others are in the way, that is all there is to say: the transaction may be lost.
    """
    errors = []
    for which in (DOMAINS, IPS):
        try:
            do(which)
        except ValidationError as error:
            if getattr(error, "code", None) == "busy":
                raise
            errors.append(error)
    if errors:
        raise errors[0] if len(errors) == 1 else ValidationError(errors)


@contextmanager
def editing(rows: "models.QuerySet[APIKey]", pk: Any, alias: str) -> "Iterator[Edit]":
    """Lock the key ``pk``, yield the edit, judge its outcome; all or nothing.

    Raises ValidationError if the outcome breaks a rule, and as ``locked`` does.
    """
    with locked(rows, pk, alias):
        edit = Edit(rows.using(alias).get(pk=pk))
        edit.written["revision"] = edit.key.revision
        yield edit
        edit.judge()


@contextmanager
def locked(rows: "models.QuerySet[APIKey]", pk: Any, alias: str) -> "Iterator[None]":
    """Lock the key ``pk`` for the block; all or nothing.

    Raises ValidationError if the key is gone, and as ``writing`` does.
    """
    with writing(alias):
        if not lock(rows, pk, alias):
            raise ValidationError(_("This key has been deleted meanwhile."), code="deleted")
        yield


def lock(rows: "models.QuerySet[APIKey]", pk: Any, alias: str) -> bool:
    """Lock the key ``pk`` to the end of the transaction, as it changes; return whether it is there."""
    key = rows.using(alias).filter(pk=pk)
    is_there = bool(models.QuerySet.update(key, revision=uuid.uuid4()))
    announce(key, alias)
    return is_there


class Edit:
    """The writes of one change. ``key`` is the row as locked, whatever other instances say."""

    def __init__(self, key: "APIKey") -> None:
        self.key = key
        self.written: dict[str, Any] = {}
        self._added: set[str] = set()
        self._emptied: set[str] = set()
        self._shrunk: set[str] = set()

    def rows(self, which: ListKind) -> "models.QuerySet[Any]":
        """Return the list's rows, past the guards of the entries' own manager."""
        model = self.key._meta.get_field(which.field).related_model
        rows: models.QuerySet[Any] = models.QuerySet(model, using=self.key._state.db)
        return rows.filter(key=self.key)

    def modes(self, which: ListKind) -> tuple[str, ...]:
        """Return the modes that the key's creator may choose for the list."""
        if which is DOMAINS and self.key.kind == Kind.SECRET:
            return (Mode.ALL,)
        modes: tuple[str, ...] = getattr(settings(), which.modes)
        return modes

    def set(self, which: ListKind, mode: str | None, entries: Iterable[EntryInput] | None) -> None:
        """Give the list a mode and, if not None, its entries; a mode of None is left as it is."""
        if mode == Mode.LISTED:
            self.restrict(which, entries)
            return
        if mode is not None:
            self.allow_all(which)
        if entries is not None:
            self.replace(which, entries)

    def restrict(self, which: ListKind, entries: Iterable[EntryInput] | None) -> None:
        """Turn the list on; make it exactly ``entries``, or keep it where they are None."""
        self._set_mode(which, Mode.LISTED)
        self._emptied.discard(which.field)
        if entries is not None:
            self.replace(which, entries)

    def replace(self, which: ListKind, entries: Iterable[EntryInput]) -> None:
        """Make the list exactly ``entries``; those listed already keep their row."""
        stored = {row.text: row for row in self.rows(which)}
        wanted, _duplicates = self._read(which, entries, stored)
        gone = [row.pk for text, row in stored.items() if text not in wanted]
        self.discard(which, gone)
        for text, name in wanted.items():
            if text in stored and name is not None and name != stored[text].name:
                self.rows(which).filter(pk=stored[text].pk).update(name=name)
        self._insert(which, {text: name for text, name in wanted.items() if text not in stored})

    def add(self, which: ListKind, entries: Iterable[EntryInput]) -> Added:
        """Add ``entries``; those listed already are skipped and told."""
        stored = {row.text: row for row in self.rows(which)}
        wanted, duplicates = self._read(which, entries, stored)
        new = {text: name for text, name in wanted.items() if text not in stored}
        self._insert(which, new)
        rows = {row.text: row for row in self.rows(which)} if new else {}
        return Added([rows[text] for text in new], duplicates)

    def remove(self, which: ListKind, entries: Iterable[EntryInput]) -> None:
        """Remove ``entries``, however they are spelt; raise ValidationError for one not listed."""
        stored = {row.text: row.pk for row in self.rows(which)}
        gone = []
        for index, (_name, text) in enumerate(pairs(which, entries)):
            canonical = text if text in stored else _canonical(which, text)
            if canonical not in stored:
                sentence = _("“%(entry)s” is not in the list.") % {"entry": shown(str(text))}
                raise problem(which, sentence, "not_listed", index)
            gone.append(stored[canonical])
        self.discard(which, gone)

    def rewrite(self, which: ListKind, changed: "Iterable[tuple[Entry, Collection[str]]]") -> None:
        """Save the named fields of rows as one change, so that two may swap their texts."""
        changed = list(changed)
        with transaction.atomic(using=self.key._state.db):
            for entry, names in changed:
                if which.column in names:  # Its text is free for the others meanwhile.
                    self.rows(which).filter(pk=entry.pk).update(**{which.column: f"#{entry.pk}"})
            for entry, names in changed:
                entry.save(update_fields=names)

    def allow_all(self, which: ListKind) -> None:
        """Turn the list off and empty it."""
        self._set_mode(which, Mode.ALL)
        self._emptied.add(which.field)
        self.rows(which).delete()

    def write(self, **values: Any) -> None:
        """Write fields of the key's row, by attribute name."""
        rows: models.QuerySet[APIKey] = models.QuerySet(type(self.key), using=self.key._state.db)
        rows.filter(pk=self.key.pk).update(**values)
        for name, value in values.items():
            setattr(self.key, name, value)
        self.written.update(values)

    def check_entry(self, which: ListKind, entry: "Entry", insert: bool) -> None:
        """Make one entry's text canonical; raise ValidationError where it may not be written."""
        if insert:
            self._guard_addition(which)
            self._guard_new(which, entry)
            self._added.add(which.field)
        elif not self.rows(which).filter(pk=entry.pk).exists():
            raise problem(which, _("This entry has been removed meanwhile."), "deleted")
        if insert or which.column in entry.changed():
            entry.clean()
            if self.rows(which).filter(**{which.column: entry.text}).exclude(pk=entry.pk).exists():
                sentence = _("“%(entry)s” is in the list already.") % {"entry": entry.text}
                raise ValidationError({which.column: ValidationError(sentence, code="duplicate")})

    def shrink(self, which: ListKind) -> None:
        """Tell that entries of this list are removed in this change."""
        self._shrunk.add(which.field)

    def judge(self) -> None:
        """Raise ValidationError unless what the change leads to keeps every rule."""
        for_each_list(self._judge_list)

    def _judge_list(self, which: ListKind) -> None:
        if which.field not in self._added | self._emptied | self._shrunk:
            return
        conf, count = settings(), self.rows(which).count()
        limit = getattr(conf, which.limit)
        if which.field in self._emptied and count:
            raise problem(
                which,
                _(
                    "%(list)s: to allow all empties the list, so no entry can be given with it. Allow only "
                    "what is listed, or leave the entries out."
                )
                % {"list": which.title},
                "all_with_entries",
            )
        if which.field in self._added and limit is not None and count > limit:
            sentence = _("%(list)s: a key may list at most %(limit)s; this would make %(count)s.")
            told = {"list": which.title, "limit": limit, "count": count}
            raise problem(which, sentence % told, "limit")
        if conf.EMPTY_LIST == "refuse" and not count and self._mode(which) == Mode.LISTED:
            sentence = _(
                "%(list)s: a list that is switched on needs an entry. Add one, or allow all instead."
            )
            raise problem(which, sentence % {"list": which.title}, "empty_list")

    def _mode(self, which: ListKind) -> str:
        return str(getattr(self.key, which.mode))

    def _set_mode(self, which: ListKind, mode: Mode) -> None:
        if mode == Mode.LISTED:
            self._guard_secret(which)
        if mode != self._mode(which) and mode not in self.modes(which):
            raise problem(which, _("This list cannot be switched here."), "mode")
        self.write(**{which.mode: str(mode)})
        self._shrunk.add(which.field)

    def _guard_secret(self, which: ListKind) -> None:
        if which is DOMAINS and self.key.kind == Kind.SECRET:
            sentence = _("A secret key is used by servers, so it has no domain list. List IPs instead.")
            raise problem(which, sentence, "secret_key")

    def _guard_addition(self, which: ListKind) -> None:
        self._guard_secret(which)
        if self._mode(which) == Mode.ALL and Mode.LISTED not in self.modes(which):
            raise problem(which, _("Keys are not restricted by this list here."), "mode")

    def _guard_new(self, which: ListKind, entry: "Entry") -> None:
        rows: models.QuerySet[Any] = models.QuerySet(type(entry), using=self.key._state.db)
        if entry.pk is not None and rows.filter(pk=entry.pk).exists():
            sentence = _("There is an entry with this id, and entries never move. Leave the id out.")
            raise problem(which, sentence, "moved")

    def _read(
        self, which: ListKind, entries: Iterable[EntryInput], stored: "dict[str, Entry]"
    ) -> tuple[dict[str, str | None], list[str]]:
        """Return names by canonical text, in order, and the texts that came twice or are stored.

        An entry stored already is not new, so that today's guards do not bind it.
        """
        wanted: dict[str, str | None] = {}
        duplicates: list[str] = []
        errors: list[ValidationError] = []
        for index, (name, text) in enumerate(pairs(which, entries)):
            try:
                canonical = _canonical(which, text)
                if canonical not in stored:
                    canonical = which.clean(text)
                if name is not None:
                    self.rows(which).model._meta.get_field("name").clean(name, None)
            except ValidationError as error:
                errors += [problem(which, each.messages[0], each.code, index) for each in error.error_list]
                if len(errors) >= MOST_ERRORS:
                    break
                continue
            if canonical in stored or canonical in wanted:
                duplicates.append(canonical)
            wanted.setdefault(canonical, name)
        if errors:
            raise ValidationError(errors)
        return wanted, duplicates

    def _insert(self, which: ListKind, new: dict[str, str | None]) -> None:
        if not new:
            return
        self._guard_addition(which)
        self._added.add(which.field)
        model = self.rows(which).model
        self.rows(which).bulk_create(
            [model(key=self.key, name=name or "", **{which.column: text}) for text, name in new.items()]
        )

    def discard(self, which: ListKind, pks: list[Any]) -> None:
        """Remove the rows of these primary keys."""
        if pks:
            self._shrunk.add(which.field)
            self.rows(which).filter(pk__in=pks).delete()


def problem(which: ListKind, sentence: str, code: str | None, index: int | None = None) -> ValidationError:
    """Return an error that knows its list and, where it is about one of several entries, which."""
    params = {"sentence": sentence, "field": which.field, "index": index}
    return ValidationError("%(sentence)s", code=code, params=params)


def pairs(which: ListKind, entries: Iterable[EntryInput]) -> list[tuple[str | None, str]]:
    """Return ``entries`` as (name, text) pairs, the name of a text alone being None."""
    if isinstance(entries, str):
        raise TypeError(f"{which.field} takes a list of entries, not one text.")
    entries = list(entries)
    if len(entries) > MOST_AT_ONCE:
        sentence = _("Send at most %(most)s entries at once.") % {"most": MOST_AT_ONCE}
        raise problem(which, sentence, "too_many")
    return [_pair(entry) for entry in entries]


def _pair(entry: EntryInput) -> tuple[str | None, str]:
    if isinstance(entry, (tuple, list)):
        name, text = entry
        return name, text
    return None, entry


def _canonical(which: ListKind, text: str) -> str | None:
    try:
        return str(which.parse(text).text)
    except EntryError:
        return None
