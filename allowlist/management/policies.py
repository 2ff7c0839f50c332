"""The subcommands that export the policies of keys, and import them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management import CommandError
from django.utils.translation import gettext as _

from ..api.errors import errors_of
from ..models.edits import CREATED, UPDATED
from ..models.lists import KINDS
from ..models.loading import UNCHANGED, Loaded, Loader, loading
from ..policy.decision import Mode
from .calls import WRONG_USAGE, Call, sentences
from .finding import find_key, keys_of
from .policy_files import MOST_ERRORS, PolicySerializer, place, read_policies
from .reading import read_file
from .tables import as_json, safe


def export(call: Call) -> None:
    """Print the policies of some keys, or of all that aren't revoked."""
    names = call.options["keys"]
    keys = [find_key(call.alias, name) for name in names] or keys_of(call.alias).filter(revoked_at=None)
    data = [dict(each) for each in PolicySerializer(keys, many=True).data]
    call.say(as_json(data), data)


def import_(call: Call) -> None:
    """Make keys what a file says, all of them or none, and print what changed."""
    options = call.options
    if options["create"] != (options["creator"] is not None):
        raise CommandError(_("Give --create and --creator together."), returncode=WRONG_USAGE)
    creator = call.user() if options["create"] else None
    name = safe(options["file"])
    policies = read_policies(read_file(options["file"]), name)
    with loading(call.alias, [policy["locator"] for policy in policies]) as loader:
        _refuse_unknown(loader, policies, name, creator)
        done = []
        for number, policy in enumerate(policies, start=1):
            with _placed(name, number):
                is_known = policy["locator"] in loader.known
                done.append(loader.load(policy) if is_known else loader.create(policy, creator))
        if options["dry_run"]:
            loader.undo()
    _say(call, policies, done)


def _refuse_unknown(loader: Loader, policies: list[dict[str, Any]], name: str, creator: Any) -> None:
    unknown = [policy["locator"] for policy in policies if policy["locator"] not in loader.known]
    if unknown and creator is None:
        sentence = _("%(file)s: There is no key “%(locator)s”. To create it, add --create --creator USER.")
        lines = [sentence % {"file": name, "locator": locator} for locator in unknown[:MOST_ERRORS]]
        raise CommandError("\n".join(lines))


@contextmanager
def _placed(name: str, number: int) -> Iterator[None]:
    """Have the block's ValidationError end the command with sentences that name the key of the file."""
    try:
        yield
    except ValidationError as error:
        found = sentences(errors_of(error), name, place(number))
        raise CommandError("\n".join(map(safe, found))) from None


def _say(call: Call, policies: list[dict[str, Any]], done: list[Loaded]) -> None:
    """Print what an import changed, or would change."""
    is_trial = call.options["dry_run"]
    lines = [safe(line) for pair in zip(policies, done, strict=True) for line in _lines(*pair, is_trial)]
    counts = {action: sum(each.action == action for each in done) for action in (UPDATED, CREATED, UNCHANGED)}
    sentence = _("Keys changed: %(updated)s, created: %(created)s, unchanged: %(unchanged)s.")
    lines.append(sentence % counts)
    if is_trial:
        lines.append(_("This was a dry run: nothing was written."))
    keys = [_data(each, is_trial) for each in done]
    call.say("\n".join(lines), {"dry_run": is_trial, "keys": keys})


def _data(loaded: Loaded, is_trial: bool) -> dict[str, Any]:
    key = loaded.key
    data = {"locator": key.locator, "name": key.name, "action": loaded.action, "changes": loaded.changes}
    return data if loaded.token is None or is_trial else {**data, "token": loaded.token}


def _lines(policy: dict[str, Any], loaded: Loaded, is_trial: bool) -> Iterator[str]:
    """Yield the lines about one key: what differs, and what has no effect."""
    actions = {CREATED: _("created"), UPDATED: _("changed"), UNCHANGED: _("unchanged")}
    yield f"{loaded.key.locator} {loaded.key.name}: {actions[loaded.action]}"
    for name, change in loaded.changes.items():
        yield from (f"  {name}: {line}" for line in _differences(change, loaded.action == CREATED))
    for kind in KINDS:
        if policy.get(kind.field) and policy[kind.mode] == Mode.ALL:
            sentence = _("These entries have no effect while %(mode)s is “all”.")
            yield f"  {kind.field}: {sentence % {'mode': kind.mode}}"
    if loaded.token is not None and not is_trial:
        yield f"  token: {loaded.token}"


def _differences(change: Any, is_new: bool) -> Iterator[str]:
    """Yield how one field differs: its old and new value, or what its list gained and lost."""
    if isinstance(change, tuple):
        yield _shown(change[1]) if is_new else _arrow(*change)
        return
    yield from (f"- {text}" for text in change["removed"])
    yield from (f"+ {text}" for text in change["added"])
    for name in ("renamed", "expires_at"):
        yield from (f"{text}: {_arrow(*pair)}" for text, pair in change.get(name, {}).items())


def _arrow(old: Any, new: Any) -> str:
    return f"{_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    return "-" if value in (None, "") else str(value)
