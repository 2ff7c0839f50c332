"""``manage.py allowlist``: keys, from the command line."""

from typing import Any

from django.core.management import BaseCommand
from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from ..arguments import add_subcommands, check_stdin
from ..calls import Call, refusals


class Command(BaseCommand):
    """Reads and changes keys."""

    # A wrong setting ends the command by itself, and the warnings of other apps aren't for here.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the subcommands."""
        parser.description = _("Reads and changes the keys of allowlist.")
        add_subcommands(parser)

    def handle(self, *args: Any, run: Any, **options: Any) -> None:
        """Run a subcommand; raise CommandError with a sentence if it can't be done."""
        check_stdin(options)
        with refusals():
            run(Call.of(options, self.stdout))
