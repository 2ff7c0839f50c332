"""What saving refuses although it could be matched. Entries that are stored already keep matching."""

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

from publicsuffixlist import PSLFILE, PublicSuffixList

from .entries import DomainEntry, parse_domain
from .hosts import spell
from .networks import IPEntry, is_public, parse_ip
from .problems import EntryError, Problem

Entry = TypeVar("Entry")
_NEARLY = {Problem.DOMAIN_FORM, Problem.HOST_PORT, Problem.HOST_BITS}
"""If a guess has one of these problems, its own guesses are good ones."""


def read_domain(text: str, forms: Collection[str]) -> DomainEntry:
    """Return the entry that ``text`` spells, if it may be saved when ``forms`` are allowed.

    Raises EntryError, whose guesses may all be saved.
    """

    def read(candidate: str) -> DomainEntry:
        entry = parse_domain(candidate)
        if entry.wildcard and covers_strangers(entry.host):
            raise EntryError(Problem.PUBLIC_SUFFIX, candidate, *_own_sites(entry))
        if not entry.forms <= set(forms):
            raise EntryError(Problem.DOMAIN_FORM, candidate, *_other_spellings(entry))
        return entry

    return _read(read, text)


def read_ip(text: str, forms: Collection[str], public_only: bool) -> IPEntry:
    """Return the entry that ``text`` spells, if it may be saved when ``forms`` are allowed.

    With ``public_only``, each of its addresses must be globally routable. Raises EntryError, whose
    guesses may all be saved.
    """

    def read(candidate: str) -> IPEntry:
        entry = parse_ip(candidate)
        if entry.form not in forms:
            raise EntryError(Problem.IP_FORM, candidate)
        if public_only and not is_public(entry.network):
            raise EntryError(Problem.NOT_PUBLIC, candidate)
        return entry

    return _read(read, text)


def covers_strangers(host: str) -> bool:
    """Return whether different people own the names directly below ``host``.

    They do below public suffixes (``com``, ``co.uk``), shared platforms (``github.io``) and names with
    suffixes beneath them (``amazonaws.com``). A name that isn't in the list counts as one owner's.
    """
    suffixes, parents = _suffixes()
    return host in parents or suffixes.is_public(host)


def _read(read: Callable[[str], Entry], text: str) -> Entry:
    """Return ``read(text)``; drop the guesses of its error that ``read`` refuses."""
    try:
        return read(text)
    except EntryError as error:
        offers = dict.fromkeys(_accepted(read, error.guesses))
        raise EntryError(error.problem, error.text, *offers) from None


def _accepted(read: Callable[[str], Entry], guesses: Iterable[str], deeper: bool = True) -> Iterator[str]:
    """Yield the guesses that may be saved. For a guess that nearly may, yield its own guesses."""
    for guess in guesses:
        try:
            read(guess)
        except EntryError as error:
            if deeper and error.problem in _NEARLY:
                yield from _accepted(read, error.guesses, deeper=False)
        else:
            yield guess


def _own_sites(entry: DomainEntry) -> tuple[str, str]:
    """Return an example of one site below the wildcard's host, and of one site's subdomains."""
    one_site = entry._replace(host=f"your-site.{entry.host}", wildcard=False)
    return one_site.text, one_site._replace(wildcard=True).text


def _other_spellings(entry: DomainEntry) -> tuple[str, ...]:
    """Return the other forms in which the site could be listed."""
    if entry.scheme is not None:
        return (f"*.{entry.host}", entry.host) if entry.wildcard else (entry.host,)
    origins = (f"https://{entry.host}", f"http://{entry.host}")
    if not entry.wildcard:
        return origins
    return (f"https://*.{entry.host}", f"http://*.{entry.host}", *origins, entry.host)


@cache
def _suffixes() -> tuple[PublicSuffixList, frozenset[str]]:
    """Return the public-suffix list and its rules' parents. The first call takes tens of milliseconds."""
    parents: set[str] = set()
    with Path(PSLFILE).open(encoding="utf-8") as lines:
        for line in lines:
            rule = line.strip().split(" ")[0]
            if rule and not rule.startswith(("//", "!")):
                labels = _as_listed(rule.removeprefix("*.")).split(".")
                parents.update(".".join(labels[depth:]) for depth in range(1, len(labels)))
    return PublicSuffixList(accept_unknown=False), frozenset(parents)


def _as_listed(host: str) -> str:
    """Return a host of the public-suffix list, which is in Unicode, as an entry spells it."""
    return host if host.isascii() else spell(host)
