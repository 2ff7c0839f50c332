"""The policy's parsers under the settings in force, speaking ValidationError."""

from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .conf import settings
from .policy import guards
from .policy.decision import Mode
from .policy.problems import EntryError, Problem

SHOWN = 80
"""Longest part of a refused text that is repeated to its author, in characters."""

SENTENCES: dict[Problem, Promise] = {
    Problem.EMPTY: gettext_lazy("An entry cannot be empty."),
    Problem.TOO_LONG: gettext_lazy("“%(entry)s” is too long to be an entry."),
    Problem.NOT_TEXT: gettext_lazy("%(entry)s is no text. Write the entry as text."),
    Problem.SEVERAL: gettext_lazy("“%(entry)s” looks like several entries. Add them one by one."),
    Problem.SPACES: gettext_lazy("“%(entry)s” has a space in it. Write one entry without spaces."),
    Problem.CONTROL: gettext_lazy("“%(entry)s” has characters that cannot be written. Type it anew."),
    Problem.NULL: gettext_lazy(
        "“null” is what sandboxed and local pages send, whoever made them, so it cannot be listed."
    ),
    Problem.EVERYTHING: gettext_lazy(
        "“%(entry)s” would match every site. To allow all domains, switch the domain list off."
    ),
    Problem.SCHEME: gettext_lazy(
        "“%(entry)s” is no web site: an origin starts with https:// or http://, a host with neither."
    ),
    Problem.NO_HOST: gettext_lazy("“%(entry)s” names no host."),
    Problem.USERINFO: gettext_lazy("“%(entry)s” has a user name in it. List the site alone."),
    Problem.PATH: gettext_lazy(
        "“%(entry)s” has a path or query. A site is listed whole, since browsers send no paths."
    ),
    Problem.BACKSLASH: gettext_lazy("“%(entry)s” has a backslash in it, which no site's name has."),
    Problem.PERCENT: gettext_lazy("“%(entry)s” has a percent sign in it. Write the name unencoded."),
    Problem.PORT: gettext_lazy("“%(entry)s” has a bad port: it is a number from 1 to 65535."),
    Problem.HOST_PORT: gettext_lazy("“%(entry)s” has a port, so it also needs https:// or http://."),
    Problem.BARE_IPV6: gettext_lazy(
        "“%(entry)s” is an IPv6 address. A page there is listed with its scheme, a server under the "
        "IP addresses."
    ),
    Problem.BRACKETS: gettext_lazy(
        "“%(entry)s” is not a readable IPv6 origin. Write the address in square brackets."
    ),
    Problem.NETWORK_AS_DOMAIN: gettext_lazy(
        "“%(entry)s” is an IP network, not a domain. List it under the IP addresses."
    ),
    Problem.WILDCARD: gettext_lazy(
        "“%(entry)s” has a * in the wrong place: it stands for whole subdomains, as in *.example.com."
    ),
    Problem.WILDCARD_ADDRESS: gettext_lazy("“%(entry)s” puts a * before an IP address."),
    Problem.LEADING_DOT: gettext_lazy("“%(entry)s” starts with a dot."),
    Problem.EMPTY_LABEL: gettext_lazy("“%(entry)s” has two dots in a row."),
    Problem.LONG_LABEL: gettext_lazy("“%(entry)s” has a part of more than 63 characters between two dots."),
    Problem.LONG_HOST: gettext_lazy("“%(entry)s” has a host of more than 253 characters."),
    Problem.HYPHEN: gettext_lazy("“%(entry)s” has a hyphen at the start or end of a part."),
    Problem.HOST: gettext_lazy(
        "“%(entry)s” has characters that no host's name has: use letters, digits, hyphens and dots."
    ),
    Problem.PUNYCODE: gettext_lazy(
        "“%(entry)s” starts a part with xn-- but decodes to no name. Write the name as you read it."
    ),
    Problem.ODD_IPV4: gettext_lazy(
        "“%(entry)s” is not a plain IPv4 address: write four numbers from 0 to 255 without leading zeros."
    ),
    Problem.SINGLE_LABEL: gettext_lazy("“%(entry)s” is a bare name without a dot."),
    Problem.ZONE: gettext_lazy("“%(entry)s” has a zone (%%), which means nothing on another machine."),
    Problem.PREFIX: gettext_lazy(
        "“%(entry)s” has a bad network length: write it as in 203.0.113.0/24 or 2001:db8::/32."
    ),
    Problem.HOST_BITS: gettext_lazy("“%(entry)s” has address bits to the right of its network length."),
    Problem.TOO_WIDE: gettext_lazy(
        "“%(entry)s” is too wide: IPv4 networks go up to /8, and /0 is everybody."
    ),
    Problem.IP_PORT: gettext_lazy("“%(entry)s” has a port or brackets. List the address alone."),
    Problem.IP_WILDCARD: gettext_lazy("“%(entry)s” has a *. A range of addresses is a network."),
    Problem.MULTICAST: gettext_lazy("“%(entry)s” is a multicast address, from which nobody calls."),
    Problem.UNSPECIFIED: gettext_lazy("“%(entry)s” is the unspecified address, from which nobody calls."),
    Problem.BROADCAST: gettext_lazy("“%(entry)s” is the broadcast address, from which nobody calls."),
    Problem.DOMAIN_AS_IP: gettext_lazy(
        "“%(entry)s” is a domain, not an IP address. List it under the domains."
    ),
    Problem.NOT_AN_ADDRESS: gettext_lazy("“%(entry)s” is not an IP address or network."),
    Problem.PUBLIC_SUFFIX: gettext_lazy(
        "“%(entry)s” would match the sites of strangers: anybody can get a name below it."
    ),
    Problem.DOMAIN_FORM: gettext_lazy("“%(entry)s” is not of a form that can be listed here."),
    Problem.IP_FORM: gettext_lazy("“%(entry)s” is not of a form that can be listed here."),
    Problem.NOT_PUBLIC: gettext_lazy(
        "“%(entry)s” is a private or reserved address, which no request from the internet has. List "
        "your server's public address."
    ),
}


EVERYTHING_EMPTY_IT = gettext_lazy(
    "“%(entry)s” would match every site. To allow all domains, take every entry off the list."
)
EVERYTHING_NEVER = gettext_lazy("“%(entry)s” would match every site. List each site that uses the key.")
PORTS_NEVER = gettext_lazy("“%(entry)s” has a port. A host is listed without one, and matches on every port.")


def clean_domain(text: str) -> str:
    """Return the canonical text of a domain entry that may be saved, or raise ValidationError."""
    try:
        return guards.read_domain(text, settings().DOMAIN_FORMS).text
    except EntryError as error:
        raise explained(error) from None


def clean_ip(text: str) -> str:
    """Return the canonical text of an IP entry that may be saved, or raise ValidationError."""
    conf = settings()
    try:
        return guards.read_ip(text, conf.IP_FORMS, conf.PUBLIC_IPS_ONLY).text
    except EntryError as error:
        raise explained(error) from None


def explained(error: EntryError) -> ValidationError:
    """Return the error as a sentence that names what is wrong and what was probably meant."""
    sentence = _sentence(error.problem) % {"entry": shown(error.text)}
    if error.guesses:
        offers = _(" or ").join(f"“{guess}”" for guess in error.guesses)
        sentence = _("%(sentence)s Did you mean %(offers)s?") % {"sentence": sentence, "offers": offers}
    return ValidationError(sentence, code=error.problem)


def _sentence(problem: Problem) -> Promise:
    """Return the problem's sentence, with advice that can be followed under the settings in force."""
    conf = settings()
    if problem is Problem.EVERYTHING and Mode.ALL not in conf.DOMAIN_MODES:
        return EVERYTHING_EMPTY_IT if conf.EMPTY_LIST == "allow" else EVERYTHING_NEVER
    if problem is Problem.HOST_PORT and "origin" not in conf.DOMAIN_FORMS:
        return PORTS_NEVER
    return SENTENCES[problem]


def shown(text: str) -> str:
    """Return ``text`` fit to be repeated: short, and with what cannot be printed as escapes."""
    short = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in short
    )
