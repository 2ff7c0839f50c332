"""The subcommands of ``manage.py allowlist``, and what each takes."""

from argparse import SUPPRESS, ArgumentParser
from functools import partial
from typing import Any, NoReturn

from django.core.management import CommandError
from django.core.management.base import CommandParser
from django.db import connections
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..models.choices import Enforcement
from ..policy.decision import Condition
from . import explanations, keys, policies
from .calls import WRONG_USAGE, Subcommand
from .reading import STDIN, date, duration, end, from_now


class UsageParser(CommandParser):
    """The parser of one subcommand. Wrong usage is status 2, also when it's called from code."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and end the program, or raise CommandError if it's called from code."""
        refuse_usage(self, message)


def refuse_usage(parser: CommandParser, message: str) -> NoReturn:
    """Print the usage and end the program, or raise CommandError if ``parser`` is called from code."""
    if parser.called_from_command_line:
        ArgumentParser.error(parser, message)
    raise CommandError(message, returncode=WRONG_USAGE)


def add_subcommands(parser: CommandParser) -> None:
    """Add the subcommands."""
    # Django's own ends with status 1 if call_command() calls it.
    parser.error = partial(refuse_usage, parser)  # type: ignore[method-assign]
    added = parser.add_subparsers(
        dest="subcommand", required=True, metavar="SUBCOMMAND", parser_class=UsageParser
    )
    for each in SUBCOMMANDS:
        sentence = str(each.help)
        subparser = added.add_parser(each.name, help=sentence, description=sentence, allow_abbrev=False)
        each.arguments(subparser)
        _add_common(subparser)
        subparser.set_defaults(run=each.run)


def _add_common(parser: ArgumentParser) -> None:
    """Add what every subcommand takes."""
    parser.add_argument("--json", action="store_true", help=_("print JSON, for programs"))
    parser.add_argument(
        "--database",
        choices=tuple(connections),
        help=_("the database of the keys (default: the one that your routers name)"),
    )
    # Django's own options, which people write at the end of the line.
    for name in ("--settings", "--pythonpath"):
        parser.add_argument(name, default=SUPPRESS, help=SUPPRESS)
    for name in ("--traceback", "--no-color", "--force-color"):
        parser.add_argument(name, action="store_true", default=SUPPRESS, help=SUPPRESS)
    parser.add_argument("-v", "--verbosity", type=int, choices=range(4), default=SUPPRESS, help=SUPPRESS)


def check_stdin(options: dict[str, Any]) -> None:
    """Raise CommandError if two things are to be read from standard input."""
    names = [options.get("key"), *(options.get("keys") or ())]
    for files in ("domain_file", "ip_file"):
        names += options.get(files) or ()
    if names.count(STDIN) > 1:
        sentence = _("Only one of these can be read from standard input (-).")
        raise CommandError(sentence, returncode=WRONG_USAGE)


def _key(parser: ArgumentParser) -> None:
    sentence = _("the key's id, its locator, its whole token, or - for a token from standard input")
    parser.add_argument("key", metavar="KEY", help=sentence)


def _entries(parser: ArgumentParser) -> None:
    for name, thing in (("domain", _("a domain")), ("ip", _("an IP address or a network"))):
        letter = name[0].upper()
        sentence = _("%(thing)s; repeat it for several") % {"thing": thing}
        parser.add_argument(f"--{name}", metavar=letter, action="append", help=sentence)
        sentence = _("a file with one entry a line, or - for standard input")
        parser.add_argument(f"--{name}-file", metavar="FILE", action="append", help=sentence)


def _lasting_entries(parser: ArgumentParser) -> None:
    _entries(parser)
    sentence = _("how long the entries last, such as 24h or 7d")
    parser.add_argument("--for", dest="lasts", metavar="DURATION", type=from_now, help=sentence)


def _creator(parser: ArgumentParser, *, required: bool = True) -> None:
    sentence = _("the user name that the creator logs in with")
    parser.add_argument("--creator", metavar="USER", required=required, help=sentence)


def _choices(parser: ArgumentParser) -> None:
    conditions, enforcements = [str(each) for each in Condition], [str(each) for each in Enforcement]
    sentence = _("how the two lists count together")
    parser.add_argument("--condition", choices=conditions, help=sentence, default=SUPPRESS)
    sentence = _("block what isn't listed, or only report it")
    parser.add_argument("--enforcement", choices=enforcements, help=sentence, default=SUPPRESS)
    sentence = _("when the key expires: a date such as 2027-01-31, a duration such as 7d, or never")
    parser.add_argument(
        "--expires", dest="expires_at", metavar="WHEN", type=end, help=sentence, default=SUPPRESS
    )


def _all(parser: ArgumentParser) -> None:
    _creator(parser, required=False)


def _new(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=_("the key's name"))
    _creator(parser)
    _entries(parser)
    sentence = _("a key for servers, whose token is shown once")
    parser.add_argument("--secret", action="store_true", help=sentence)
    parser.add_argument("--test", action="store_true", help=_("a key of the test environment"))
    _choices(parser)


def _fields(parser: ArgumentParser) -> None:
    _key(parser)
    parser.add_argument("--name", metavar="NAME", help=_("the key's name"), default=SUPPRESS)
    _choices(parser)


def _addition(parser: ArgumentParser) -> None:
    _key(parser)
    _lasting_entries(parser)


def _removal(parser: ArgumentParser) -> None:
    _key(parser)
    _entries(parser)
    parser.add_argument("--expired", action="store_true", help=_("remove every entry that has expired"))


def _list(parser: ArgumentParser) -> None:
    _key(parser)
    parser.add_argument("list", choices=tuple(keys.LISTS), help=_("which of the two lists"))


def _restriction(parser: ArgumentParser) -> None:
    _list(parser)
    _lasting_entries(parser)


def _rotation(parser: ArgumentParser) -> None:
    _key(parser)
    sentence = _("how long the old token still works, such as 1h")
    parser.add_argument("--overlap", metavar="DURATION", type=duration, help=sentence)


def _handover(parser: ArgumentParser) -> None:
    _key(parser)
    _creator(parser)


def _request(parser: ArgumentParser) -> None:
    _key(parser)
    for name, letter in (("origin", "O"), ("referer", "R"), ("sec-fetch-site", "S")):
        parser.add_argument(f"--{name}", metavar=letter, help=_("the value of the request's header"))
    parser.add_argument("--ip", metavar="I", help=_("the client's IP address"))


def _named_keys(parser: ArgumentParser) -> None:
    sentence = _("a key to export (default: all that aren't revoked)")
    parser.add_argument("keys", metavar="KEY", nargs="*", help=sentence)


def _file(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=_("what export printed, or - for standard input"))
    parser.add_argument("--dry-run", action="store_true", help=_("print what would change"))
    sentence = _("create the keys that don't exist, with new tokens")
    parser.add_argument("--create", action="store_true", help=sentence)
    _creator(parser, required=False)


def _age(parser: ArgumentParser) -> None:
    sentence = _("also delete the keys that were revoked before this date")
    parser.add_argument("--revoked-before", metavar="DATE", type=date, help=sentence)


SUBCOMMANDS = (
    Subcommand("list", gettext_lazy("Print all keys."), keys.list_keys, _all),
    Subcommand("show", gettext_lazy("Print a key."), keys.show, _key),
    Subcommand("create", gettext_lazy("Create a key, and print its token."), keys.create, _new),
    Subcommand(
        "set", gettext_lazy("Change a key's name, condition, enforcement or end."), keys.change, _fields
    ),
    Subcommand("add", gettext_lazy("Add entries to a key's lists."), keys.add, _addition),
    Subcommand("remove", gettext_lazy("Remove entries from a key's lists."), keys.remove, _removal),
    Subcommand("restrict", gettext_lazy("Allow only what is listed."), keys.restrict, _restriction),
    Subcommand("allow-all", gettext_lazy("Stop restricting by a list, and empty it."), keys.allow_all, _list),
    Subcommand("restore", gettext_lazy("Bring back a list that one change emptied."), keys.restore, _list),
    Subcommand("rotate", gettext_lazy("Give a key a new token, and print it."), keys.rotate, _rotation),
    Subcommand("revoke", gettext_lazy("End a key for good."), keys.revoke, _key),
    Subcommand("take-over", gettext_lazy("Make a user a key's creator."), keys.take_over, _handover),
    Subcommand(
        "explain", gettext_lazy("Print what a request with a key would get."), explanations.explain, _request
    ),
    Subcommand("blocked", gettext_lazy("Print what a key blocked."), explanations.blocked, _key),
    Subcommand(
        "export", gettext_lazy("Print the policies of keys, without tokens."), policies.export, _named_keys
    ),
    Subcommand("import", gettext_lazy("Make keys what an export says."), policies.import_, _file),
    Subcommand("prune", gettext_lazy("Delete old blocked rows and old revoked keys."), keys.prune, _age),
)
