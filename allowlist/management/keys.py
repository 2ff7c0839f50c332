"""The subcommands that read and change keys."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.core.management import CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from ..forms.summary import Entries, summary
from ..models import APIKey
from ..models.edits import OWN_FIELDS
from ..models.entries import Entry
from ..models.lists import DOMAINS, IPS, KINDS, ListKind
from ..models.pruning import delete_blocked, delete_revoked
from ..policy.decision import Mode
from ..policy.entries import display
from ..policy.tokens import Environment, Kind
from .calls import WRONG_USAGE, Call, key_data
from .finding import keys_of, login_of
from .reading import given_entries
from .tables import moment, pairs, table

LISTS = {"domains": DOMAINS, "ips": IPS}
"""A key's lists, as they are typed."""


def list_keys(call: Call) -> None:
    """Print all keys, or those of one creator."""
    keys = keys_of(call.alias)
    if call.options["creator"] is not None:
        keys = keys.filter(creator=call.user())
    found = list(keys)
    headings = ("ID", _("KEY"), _("STATUS"), _("DOMAINS"), _("IPS"), _("NAME"))
    rows = [(key.pk, key.hint, key.status, *(_brief(key, kind) for kind in KINDS), key.name) for key in found]
    call.say(table(headings, rows), [key_data(key) for key in found])


def show(call: Call) -> None:
    """Print one key."""
    _say_key(call, call.key())


def create(call: Call) -> None:
    """Create a key, and print its token."""
    options = call.options
    fields: dict[str, Any] = {kind.field: given_entries(kind, options) or () for kind in KINDS}
    fields |= {name: options[name] for name in OWN_FIELDS if name in options}
    if options["secret"]:
        fields["kind"] = str(Kind.SECRET)
    if options["test"]:
        fields["environment"] = str(Environment.TEST)
    keys = APIKey.objects.using(call.alias)
    key, token = keys.create_key(creator=call.user(), **fields)
    _say_key(call, key, token)


def change(call: Call) -> None:
    """Change a key's own fields."""
    values = {name: call.options[name] for name in OWN_FIELDS if name in call.options}
    if not values:
        raise CommandError(_("Say what to change, for example --name “Shop”."), returncode=WRONG_USAGE)
    key = call.key()
    with key.editing() as edit:
        edit.write(**values)
    _say_key(call, key)


def add(call: Call) -> None:
    """Add entries to a key's lists."""
    lists, key = _given_lists(call), call.key()
    notes: list[str] = []
    with key.editing() as edit:
        for kind, entries in lists.items():
            added = edit.list(kind).add(entries)
            notes += [_("Listed already: %(entry)s") % {"entry": display(each)} for each in added.duplicates]
            if not added.in_force:
                notes.append(_("The list has no effect yet. To enable it, run:"))
                notes.append(f"manage.py allowlist restrict {key.pk} {_typed(kind)}")
    _say_key(call, key, notes=notes)


def remove(call: Call) -> None:
    """Remove entries from a key's lists."""
    expired = call.options["expired"]
    lists, key = ({} if expired else _given_lists(call)), call.key()
    with key.editing() as edit:
        for kind, entries in lists.items():
            edit.list(kind).remove(entries)
        for each in edit.lists if expired else ():
            each.remove_expired()
    _say_key(call, key)


def restrict(call: Call) -> None:
    """Have a key work only from what one of its lists has."""
    kind, other = _list_and_other(call)
    entries = given_entries(kind, call.options)
    if given_entries(other, call.options) is not None:
        sentence = _("Give entries of the list that you restrict, and of no other.")
        raise CommandError(sentence, returncode=WRONG_USAGE)
    key = call.key()
    with key.editing() as edit:
        edit.list(kind).restrict(entries)
    _say_key(call, key)


def allow_all(call: Call) -> None:
    """Stop restricting a key by one of its lists, and empty the list."""
    kind, _other = _list_and_other(call)
    key = call.key()
    with key.editing() as edit:
        edit.list(kind).allow_all()
    _say_key(call, key)


def restore(call: Call) -> None:
    """Bring back a list that one change emptied."""
    kind, _other = _list_and_other(call)
    key = call.key()
    with key.editing() as edit:
        edit.list(kind).restore()
    _say_key(call, key)


def rotate(call: Call) -> None:
    """Give a key a new token, and print it."""
    key = call.key()
    _say_key(call, key, key.rotate(call.options["overlap"] or timedelta(0)))


def revoke(call: Call) -> None:
    """End a key for good."""
    key = call.key()
    key.revoke()
    _say_key(call, key)


def take_over(call: Call) -> None:
    """Make a user a key's creator."""
    user, key = call.user(), call.key()
    key.take_over(user)
    _say_key(call, key)


def prune(call: Call) -> None:
    """Delete what nobody is shown any more."""
    before = call.options["revoked_before"]
    deleted, used = (0, list[str]()) if before is None else delete_revoked(call.alias, before)
    data = {"blocked": delete_blocked(call.alias), "keys": deleted, "in_use": used}
    lines = [(_("Blocked rows deleted"), data["blocked"]), (_("Revoked keys deleted"), deleted)]
    lines += [(_("In use, not deleted"), name) for name in used]
    call.say(pairs(lines), data)


def _given_lists(call: Call) -> dict[ListKind, Any]:
    """Return the entries that were given, by list; raise CommandError if there are none."""
    given = {kind: given_entries(kind, call.options) for kind in KINDS}
    lists = {kind: entries for kind, entries in given.items() if entries is not None}
    if not lists:
        raise CommandError(_("Give at least one --domain or --ip."), returncode=WRONG_USAGE)
    return lists


def _list_and_other(call: Call) -> tuple[ListKind, ListKind]:
    kind = LISTS[call.options["list"]]
    return kind, IPS if kind is DOMAINS else DOMAINS


def _typed(kind: ListKind) -> str:
    return next(name for name, each in LISTS.items() if each is kind)


def _say_key(call: Call, key: APIKey, token: str | None = None, notes: list[str] | None = None) -> None:
    """Print a key as it is now, and a token that was issued just now."""
    key = keys_of(call.alias).get(pk=key.pk)
    lines = list(_lines(call, key))
    if token is not None:
        sentence = _("Store the token now. It isn't shown again.")
        lines += [(_("Token"), token), *([("", sentence)] if key.kind == Kind.SECRET else [])]
    elif key.token:
        lines.append((_("Token"), key.token))
    lines += [(_("Note"), note) for note in notes or ()]
    call.say(pairs(lines), key_data(key, token))


def _lines(call: Call, key: APIKey) -> Iterator[tuple[str, object]]:
    """Yield what people read about a key: a label and its value."""
    yield "ID", key.pk
    yield _("Name"), key.name
    yield _("Key"), key.hint
    yield _("Kind"), f"{key.kind}, {key.environment}"
    yield _("Status"), key.status
    yield _("Allows"), summary(key, *(_counted(key, kind) for kind in KINDS))
    yield _("Creator"), "-" if key.creator_id is None else login_of(call.options["database"], key.creator_id)
    yield _("Condition"), key.condition
    yield _("Enforcement"), key.enforcement
    yield _("Created"), moment(key.created_at)
    yield _("Last used"), moment(key.last_used_at)
    yield _("Expires"), moment(key.expires_at)
    for label, kind in ((_("Domains"), DOMAINS), (_("IPs"), IPS)):
        yield label, _brief(key, kind)
        for entry in getattr(key, kind.field).all():
            yield "", _entry(entry)


def _counted(key: APIKey, kind: ListKind) -> Entries:
    rows, now = getattr(key, kind.field).all(), timezone.now()
    return Entries(len(rows), sum(not row.has_expired(now) for row in rows))


def _brief(key: APIKey, kind: ListKind) -> str:
    """Return how many entries a list allows; ``all`` if it is disabled."""
    is_listed = getattr(key, kind.mode) == Mode.LISTED
    return str(len(getattr(key, kind.field).all())) if is_listed else str(Mode.ALL)


def _entry(entry: Entry) -> str:
    parts = [display(entry.text)]
    if entry.name:
        parts.append(f"({entry.name})")
    if entry.expires_at is not None:
        parts.append(_("until %(time)s") % {"time": moment(entry.expires_at)})
    return " ".join(parts)
