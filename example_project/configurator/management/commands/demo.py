"""``manage.py demo``: shows allowlist at work on this machine, in one command."""

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
  Not listed, blocked: {copycat}/
  In an iframe:        {shop}/framed/  and  {copycat}/framed/

  A customer's page:   {service}/security/   (login {login}, password {password})
  The admin:           {service}/admin/   (login {login}, password {password})
  Add {copycat} to the key "{page_key}" there, then reload the page.

The server's key works only from {address}:

  200:    curl -i -H 'X-API-Key: {token}' {config}
  403:    curl -i --interface 127.0.0.9 -H 'X-API-Key: {token}' {config}
  403:    curl -i --interface 127.0.0.9 -H 'X-Forwarded-For: {address}' -H 'X-API-Key: {token}' {config}

Stop with Control-C. Every start resets the two keys to what is shown here.
"""


class Command(BaseCommand):
    """Sets up the demo in SQLite, prints where to look, and serves it."""

    help = "Sets up two keys and three pretend sites, prints where to look, and serves them."
    # A used port is reported before anything is done; the checks run afterwards.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --port and --bind."""
        parser.add_argument("--port", type=int, default=8000, help="the port to serve on (default: 8000)")
        parser.add_argument(
            "--recipe",
            choices=recipes.NAMES,
            default="",
            help="the product to serve instead of the configurator",
        )
        parser.add_argument(
            "--bind", default="127.0.0.1", help="the IP address to serve on (default: this machine only)"
        )

    def handle(self, *args: Any, port: int, bind: str, recipe: str, **options: Any) -> None:
        """Set up and serve."""
        _refuse_unless_free(bind, port)
        if recipe not in ("", settings.RECIPE):
            _restart(recipe)
        if not settings.DEBUG:
            raise CommandError("The demo's password is public, so the demo runs only with DEBUG.")
        self.check()
        call_command("migrate", verbosity=0, interactive=False)
        if settings.RECIPE:
            self._print_recipe(demo.Addresses(port))
        else:
            self._print(demo.set_up(port), bind)
        _serve(bind, port)

    def _print(self, made: demo.Demo, bind: str) -> None:
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
        # A reader at the other end of a pipe needs this before the server's first line.
        self.stdout.flush()

    def _print_recipe(self, addresses: demo.Addresses) -> None:
        lines = [
            (f"{'Listed' if site.listed else 'Not listed'}", f"{addresses.of(site.host)}/")
            for site in demo.SITES.values()
        ]
        login = f"({demo.LOGIN}, password {demo.PASSWORD})"
        lines += [("A customer's page", f"{addresses.service}/security/  {login}")]
        lines += [("The admin", f"{addresses.service}/admin/  {login}")]
        lines += current().set_up(demo.make_user(), addresses)
        self.stdout.write(f"\nThe {settings.RECIPE} recipe is at {addresses.service}/\n")
        for label, text in lines:
            self.stdout.write(f"  {label}:  {text}")
        self.stdout.write("\nStop with Control-C.\n")
        self.stdout.flush()


def _restart(recipe: str) -> None:
    """Run this command again with the recipe's settings: Django reads settings only at start."""
    os.environ["EXAMPLE_RECIPE"] = recipe
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own command


def _refuse_unless_free(bind: str, port: int) -> None:
    """Raise CommandError if the port can't be used."""
    try:
        family = socket.AF_INET6 if ip_address(bind).version == 6 else socket.AF_INET
    except ValueError:
        raise CommandError(f"--bind takes an IP address such as 127.0.0.1, not {bind!r}.") from None
    if not 0 < port < 65536:
        raise CommandError(f"--port takes a number from 1 to 65535, not {port}.")
    with socket.socket(family) as probe:
        # As the server does: a connection closed a moment ago doesn't block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} on {bind} can't be used: {error.strerror}. "
                f"Is another demo running? Choose another port: manage.py demo --port {port % 65535 + 1}"
            ) from None


def _serve(bind: str, port: int) -> None:
    """Serve until Control-C."""
    os.environ.setdefault("DJANGO_RUNSERVER_HIDE_WARNING", "true")
    is_ipv6 = ":" in bind
    address = f"[{bind}]:{port}" if is_ipv6 else f"{bind}:{port}"
    call_command("runserver", address, use_reloader=False, use_ipv6=is_ipv6, skip_checks=True)
