"""Hosts as browsers read them. Only this module uses ada-url, a parser of the URL standard."""

import ada_url

from .origins import MAX_HOST, MAX_LABEL, ends_in_number, parse_host
from .problems import EntryError, Problem

PUNYCODE = "xn--"


def spell(host: str) -> str:
    """Return ``host`` as browsers spell it, or raise ValueError."""
    return str(ada_url.URL(f"https://{host}").hostname)


def in_unicode(host: str) -> str:
    """Return a canonical host as people write it: punycode as Unicode."""
    return str(ada_url.idna_to_unicode(host))


def read_host(host: str, text: str) -> str:
    """Return the canonical host that a browser reads in ``host``, or raise EntryError about ``text``."""
    try:
        spelt = spell(host)
    except ValueError:
        raise EntryError(_unspellable(host.lower()), text) from None
    canonical = parse_host(spelt)
    if canonical is None:
        raise EntryError(_not_canonical(spelt.removesuffix(".")), text)
    if not all(_decodes(label) for label in canonical.split(".") if label.startswith(PUNYCODE)):
        raise EntryError(Problem.PUNYCODE, text)
    return canonical


def _unspellable(host: str) -> Problem:
    if host.startswith("["):
        return Problem.BRACKETS
    if ends_in_number(host.removesuffix(".")):
        return Problem.ODD_IPV4
    return Problem.PUNYCODE if PUNYCODE in host else Problem.HOST


def _not_canonical(name: str) -> Problem:
    """Return what our own grammar, which is stricter than ada's, finds wrong with a name."""
    if len(name) > MAX_HOST:
        return Problem.LONG_HOST
    labels = name.split(".")
    if any(len(label) > MAX_LABEL for label in labels):
        return Problem.LONG_LABEL
    return Problem.EMPTY_LABEL if "" in labels else Problem.HOST


def _decodes(label: str) -> bool:
    """Return whether a punycode label decodes to a name that browsers encode to the same label."""
    try:
        decoded = label.removeprefix(PUNYCODE).encode("ascii").decode("punycode")
        spelt = spell(decoded)
    except ValueError:
        return False
    return spelt == label and decoded == decoded.strip("-")
