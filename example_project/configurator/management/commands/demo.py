"""``manage.py demo``: the whole thing at work, on this machine, in one command."""

import os
import socket
import sys
from argparse import ArgumentParser
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command

from example_project import recipes
from example_project.configurator import demo
from example_project.recipes.base import current

TEXT = """
The demo is at {service}/

  Listed, works:       {shop}/
  Listed, works:       {partner}/
  Not listed, refused: {copycat}/

  The admin:           {service}/admin/   (login {login}, password {password})
  There, add {copycat} to the key "{page_key}" and load the page again.

A server's key works from {address} and from nowhere else:

  200:    curl -i -H 'X-API-Key: {token}' {config}
  403:    curl -i --interface 127.0.0.9 -H 'X-API-Key: {token}' {config}
  403:    curl -i --interface 127.0.0.9 -H 'X-Forwarded-For: {address}' -H 'X-API-Key: {token}' {config}

Stop with Control-C. Every start brings the two keys back to what is said here.
"""


class Command(BaseCommand):
    """Sets the demo up in SQLite, says where to look, and serves it."""

    help = "Sets up two keys and three pretend sites, says where to look, and serves them."
    # A taken port is told before anything is done, checks included; they run afterwards.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --port and --bind."""
        parser.add_argument("--port", type=int, default=8000, help="8000 unless said")
        parser.add_argument("--recipe", choices=recipes.NAMES, default="", help="whose allowlist to serve")
        parser.add_argument(
            "--bind", default="127.0.0.1", help="the address to serve on; this machine alone unless said"
        )

    def handle(self, *args: Any, port: int, bind: str, recipe: str, **options: Any) -> None:
        """Set up and serve."""
        _refuse_unless_free(bind, port)
        if recipe not in ("", settings.RECIPE):
            _start_anew(recipe)
        if not settings.DEBUG:
            raise CommandError("The demo has a password that everybody knows. It runs with DEBUG only.")
        self.check()
        call_command("migrate", verbosity=0, interactive=False)
        if settings.RECIPE:
            self._tell_recipe(demo.Addresses(port))
        else:
            self._tell(demo.set_up(port), bind)
        _serve(bind, port)

    def _tell(self, made: demo.Demo, bind: str) -> None:
        sites = {host.partition(".")[0]: made.addresses.of(host) for host in demo.SITES}
        shown = bind if bind != "0.0.0.0" else "127.0.0.1"  # noqa: S104 - compared, not bound
        text = TEXT.format(
            **sites,
            service=made.addresses.service,
            login=demo.LOGIN,
            password=demo.PASSWORD,
            page_key=made.page_key.name,
            address=demo.SERVER_ADDRESS,
            token=made.server_token,
            config=made.addresses.of(shown) + "/api/widget/v1/config",
        )
        self.stdout.write(text)
        # Whoever reads this through a pipe shall have it before the server's first line.
        self.stdout.flush()

    def _tell_recipe(self, addresses: demo.Addresses) -> None:
        lines = [
            (f"{'Listed' if site.listed else 'Not listed'}", f"{addresses.of(site.host)}/")
            for site in demo.SITES.values()
        ]
        lines += [("The admin", f"{addresses.service}/admin/  ({demo.LOGIN}, password {demo.PASSWORD})")]
        lines += current().set_up(demo.make_user(), addresses)
        self.stdout.write(f"\nThe {settings.RECIPE} recipe is at {addresses.service}/\n")
        for label, text in lines:
            self.stdout.write(f"  {label}:  {text}")
        self.stdout.write("\nStop with Control-C.\n")
        self.stdout.flush()


def _start_anew(recipe: str) -> None:
    """Run this command again with the recipe's settings, which are read at start."""
    os.environ["EXAMPLE_RECIPE"] = recipe
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command


def _refuse_unless_free(bind: str, port: int) -> None:
    """Raise CommandError where the port cannot be served on."""
    try:
        family = socket.AF_INET6 if ip_address(bind).version == 6 else socket.AF_INET
    except ValueError:
        raise CommandError(f"--bind takes an IP address, such as 127.0.0.1, not {bind!r}.") from None
    if not 0 < port < 65536:
        raise CommandError(f"--port takes a number from 1 to 65535, not {port}.")
    with socket.socket(family) as probe:
        # As the server itself does: a connection that was closed a moment ago keeps no port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} on {bind} cannot be used: {error.strerror}. "
                f"Is another demo running? Choose another port: manage.py demo --port {port % 65535 + 1}"
            ) from None


def _serve(bind: str, port: int) -> None:
    """Serve until Control-C."""
    os.environ.setdefault("DJANGO_RUNSERVER_HIDE_WARNING", "true")
    is_ipv6 = ":" in bind
    address = f"[{bind}]:{port}" if is_ipv6 else f"{bind}:{port}"
    call_command("runserver", address, use_reloader=False, use_ipv6=is_ipv6, skip_checks=True)
