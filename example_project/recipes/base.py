"""What the demo needs of a recipe, and the pretend sites' pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from example_project.configurator.demo import SITES, Addresses

from . import package


@dataclass(frozen=True, slots=True)
class Embed:
    """The widget in a pretend site's page: the URL it requests, and the key it sends."""

    url: str
    key: str = ""
    script: str = "recipes/widget.js"
    """The widget's path among the static files."""


class Recipe(Protocol):
    """A recipe's ``demo`` module."""

    def set_up(self, user: User, addresses: Addresses) -> Sequence[tuple[str, str]]:
        """Reset the recipe's data to how its demo starts; return (label, text) lines to print.

        It runs at each start, so it reuses what an earlier start created.
        """

    def embed(self, addresses: Addresses) -> Embed:
        """Return the widget of the pretend sites' pages."""


def current() -> Recipe:
    """Return the recipe that the settings name."""
    return cast("Recipe", import_module(f"{package(settings.RECIPE)}.demo"))


def front_page(request: HttpRequest) -> HttpResponse:
    """Show the pretend site of the requested host; on other hosts, links to the sites."""
    host, _colon, port = request.get_host().partition(":")
    addresses = Addresses(int(port or 80))
    site = SITES.get(host)
    if site is None:
        sites = [{"address": addresses.of(each.host), "listed": each.listed} for each in SITES.values()]
        return render(request, "recipes/start.html", {"sites": sites, "recipe": settings.RECIPE})
    context = {"site": site, "embed": current().embed(addresses), "addresses": addresses}
    return render(request, "recipes/page.html", context)
