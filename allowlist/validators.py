"""The rules for entries under the settings in force. Errors are sentences for people."""

from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from .conf import settings
from .policy import guards
from .policy.decision import Mode
from .policy.entries import display
from .policy.explanation import Difference, Near
from .policy.problems import EntryError, Problem

SHOWN = 80
"""Longest part of an invalid text that an error repeats, in characters."""

SENTENCES: dict[Problem, Promise] = {
    Problem.EMPTY: gettext_lazy("An entry can't be empty. Enter a domain or an IP address."),
    Problem.TOO_LONG: gettext_lazy("“%(entry)s” is too long. Enter one domain or one IP address."),
    Problem.NOT_TEXT: gettext_lazy("%(entry)s isn't a string. Write the entry as a string."),
    Problem.SEVERAL: gettext_lazy("“%(entry)s” looks like several entries. Add them one at a time."),
    Problem.SPACES: gettext_lazy("“%(entry)s” contains a space. Enter one entry without spaces."),
    Problem.CONTROL: gettext_lazy(
        "“%(entry)s” contains invisible characters. Type it instead of pasting it."
    ),
    Problem.NULL: gettext_lazy(
        "“null” can't be listed, because every sandboxed or local page sends it. Serve the page from a "
        "website, and list the website."
    ),
    Problem.EVERYTHING: gettext_lazy(
        "“%(entry)s” would match every website. To allow every website, select “Allow all domains”."
    ),
    Problem.SCHEME: gettext_lazy("“%(entry)s” isn't a website. Enter https://example.com or example.com."),
    Problem.NO_HOST: gettext_lazy("“%(entry)s” has no host. Enter a domain such as example.com."),
    Problem.USERINFO: gettext_lazy("“%(entry)s” contains a user name. Enter the website alone."),
    Problem.PATH: gettext_lazy(
        "“%(entry)s” contains a path or a query, which browsers don't send. Enter the website alone."
    ),
    Problem.BACKSLASH: gettext_lazy("“%(entry)s” contains a backslash. Enter the website without it."),
    Problem.PERCENT: gettext_lazy(
        "“%(entry)s” contains a percent sign. Enter the name without percent-encoding."
    ),
    Problem.PORT: gettext_lazy("“%(entry)s” has an invalid port. A port is a number from 1 to 65535."),
    Problem.HOST_PORT: gettext_lazy("“%(entry)s” has a port but no scheme. Add https:// or http://."),
    Problem.BARE_IPV6: gettext_lazy(
        "“%(entry)s” is an IPv6 address. To list a website there, enter its origin. To list a server, add "
        "the IP address to the allowed IPs."
    ),
    Problem.BRACKETS: gettext_lazy(
        "“%(entry)s” isn't a valid origin. Enter an IPv6 address in square brackets, as in http://[2001:db8::7]."
    ),
    Problem.NETWORK_AS_DOMAIN: gettext_lazy(
        "“%(entry)s” is an IP network, not a domain. Add it to the allowed IPs."
    ),
    Problem.WILDCARD: gettext_lazy(
        "“%(entry)s” has a * in the wrong place. It stands for whole subdomains, as in *.example.com."
    ),
    Problem.WILDCARD_ADDRESS: gettext_lazy(
        "“%(entry)s” has a * before an IP address, which has no subdomains. Remove the *."
    ),
    Problem.LEADING_DOT: gettext_lazy("“%(entry)s” starts with a dot. Remove the dot."),
    Problem.EMPTY_LABEL: gettext_lazy("“%(entry)s” has two dots in a row. Remove one of them."),
    Problem.LONG_LABEL: gettext_lazy(
        "“%(entry)s” has more than 63 characters between two dots, which no domain has. Check the spelling."
    ),
    Problem.LONG_HOST: gettext_lazy(
        "“%(entry)s” has more than 253 characters, which no domain has. Check the spelling."
    ),
    Problem.HYPHEN: gettext_lazy(
        "“%(entry)s” has a hyphen at its start or end, or beside a dot. Check the spelling."
    ),
    Problem.HOST: gettext_lazy(
        "“%(entry)s” contains characters that no domain has. Use letters, digits, hyphens and dots."
    ),
    Problem.PUNYCODE: gettext_lazy(
        "“%(entry)s” contains xn--, but isn't valid punycode. Enter the name as people read it."
    ),
    Problem.ODD_IPV4: gettext_lazy(
        "“%(entry)s” isn't a valid IPv4 address. Enter four numbers from 0 to 255 without leading zeros."
    ),
    Problem.SINGLE_LABEL: gettext_lazy(
        "“%(entry)s” has no dot. Enter the whole domain, such as shop.example.com."
    ),
    Problem.ZONE: gettext_lazy(
        "“%(entry)s” has a zone, which means nothing on another machine. Remove the %% and what follows it."
    ),
    Problem.PREFIX: gettext_lazy(
        "“%(entry)s” has an invalid prefix length. Enter a network such as 203.0.113.0/24 or 2001:db8::/32."
    ),
    Problem.HOST_BITS: gettext_lazy(
        "“%(entry)s” starts in the middle of its network. Enter the first IP address of the network."
    ),
    Problem.TOO_WIDE: gettext_lazy(
        "“%(entry)s” is too wide. The widest IPv4 network is a /8. Enter a narrower network."
    ),
    Problem.EVERY_ADDRESS: gettext_lazy(
        "“%(entry)s” would match everyone's IP address. To allow every IP address, select “Allow all IPs”."
    ),
    Problem.IP_PORT: gettext_lazy("“%(entry)s” has a port or brackets. Enter the IP address alone."),
    Problem.IP_WILDCARD: gettext_lazy(
        "“%(entry)s” contains a *. To list a range of IP addresses, enter a network such as 203.0.113.0/24."
    ),
    Problem.MULTICAST: gettext_lazy(
        "“%(entry)s” is a multicast address, and no request comes from one. Enter your server's IP address."
    ),
    Problem.UNSPECIFIED: gettext_lazy(
        "“%(entry)s” is the unspecified address, and no request comes from it. Enter your server's IP "
        "address."
    ),
    Problem.BROADCAST: gettext_lazy(
        "“%(entry)s” is the broadcast address, and no request comes from it. Enter your server's IP address."
    ),
    Problem.DOMAIN_AS_IP: gettext_lazy(
        "“%(entry)s” is a domain, not an IP address. Add it to the allowed domains."
    ),
    Problem.NOT_AN_ADDRESS: gettext_lazy(
        "“%(entry)s” isn't an IP address or a network. Enter an IP address such as 203.0.113.7."
    ),
    Problem.PUBLIC_SUFFIX: gettext_lazy(
        "“%(entry)s” would match other people's websites, because anyone can get a name below it. Enter your "
        "own website, for example “%(example)s”."
    ),
    Problem.DOMAIN_FORM: gettext_lazy(
        "“%(entry)s” isn't in a form that can be listed here. Enter a domain in a form such as %(forms)s."
    ),
    Problem.IP_FORM: gettext_lazy(
        "“%(entry)s” is a single IP address. Enter a network such as 203.0.113.0/24."
    ),
    Problem.NOT_PUBLIC: gettext_lazy(
        "“%(entry)s” is private or reserved, and no request from the internet comes from there. Enter "
        "your server's public IP address."
    ),
}
# These replace a sentence above if the settings in force don't allow what it advises.
EVERY_SITE_IF_EMPTY = gettext_lazy(
    "“%(entry)s” would match every website. To allow every website, remove all entries from the list."
)
EVERY_SITE_NEVER = gettext_lazy("“%(entry)s” would match every website. List each website that uses the key.")
EVERY_ADDRESS_IF_EMPTY = gettext_lazy(
    "“%(entry)s” would match everyone's IP address. To allow every IP address, remove all entries from "
    "the list."
)
EVERY_ADDRESS_NEVER = gettext_lazy(
    "“%(entry)s” would match everyone's IP address. List the IP address of each server that uses the key."
)
PORTS_NEVER = gettext_lazy("“%(entry)s” has a port. Enter the host alone, which matches every port.")
NETWORKS_NEVER = gettext_lazy("“%(entry)s” isn't a single IP address. List each IP address.")
NETWORK_PROBLEMS = {
    Problem.PREFIX,
    Problem.HOST_BITS,
    Problem.TOO_WIDE,
    Problem.IP_WILDCARD,
    Problem.IP_FORM,
}
FORM_EXAMPLES = {"origin": "https://example.com", "host": "example.com", "wildcard": "*.example.com"}

DID_YOU_MEAN: tuple[Promise, ...] = (
    gettext_lazy("Did you mean “%(first)s”?"),
    gettext_lazy("Did you mean “%(first)s” or “%(second)s”?"),
    gettext_lazy("Did you mean “%(first)s”, “%(second)s” or “%(third)s”?"),
)
"""The question that offers one, two or three guesses."""


NEAR: dict[Difference, tuple[Promise, Promise]] = {
    Difference.EXPIRED: (
        gettext_lazy("“%(seen)s” matches “%(entry)s”, but that entry has expired. Add “%(suggestion)s”?"),
        gettext_lazy("“%(seen)s” matches “%(entry)s”, but that entry has expired."),
    ),
    Difference.SCHEME: (
        gettext_lazy(
            "“%(seen)s” isn't listed. “%(entry)s” is, but its scheme (http or https) differs. Add "
            "“%(suggestion)s”?"
        ),
        gettext_lazy("“%(seen)s” isn't listed. “%(entry)s” is, but its scheme (http or https) differs."),
    ),
    Difference.PORT: (
        gettext_lazy("“%(seen)s” isn't listed. “%(entry)s” is, but its port differs. Add “%(suggestion)s”?"),
        gettext_lazy("“%(seen)s” isn't listed. “%(entry)s” is, but its port differs."),
    ),
    Difference.SUBDOMAIN: (
        gettext_lazy(
            "“%(seen)s” isn't listed. “%(entry)s” is, but it doesn't cover its subdomains. Add "
            "“%(suggestion)s”?"
        ),
        gettext_lazy("“%(seen)s” isn't listed. “%(entry)s” is, but it doesn't cover its subdomains."),
    ),
    Difference.PARENT: (
        gettext_lazy(
            "“%(seen)s” isn't listed. “%(entry)s” is, but it doesn't cover the domain above it. Add "
            "“%(suggestion)s”?"
        ),
        gettext_lazy("“%(seen)s” isn't listed. “%(entry)s” is, but it doesn't cover the domain above it."),
    ),
    Difference.TYPO: (
        gettext_lazy(
            "“%(seen)s” isn't listed. “%(entry)s” is, and looks similar. Check the spelling. Add "
            "“%(suggestion)s”?"
        ),
        gettext_lazy("“%(seen)s” isn't listed. “%(entry)s” is, and looks similar. Check the spelling."),
    ),
    Difference.NETWORK: (
        gettext_lazy(
            "“%(seen)s” isn't listed. “%(entry)s” is, in the same network: the server's address may have "
            "changed. Add “%(suggestion)s”?"
        ),
        gettext_lazy(
            "“%(seen)s” isn't listed. “%(entry)s” is, in the same network: the server's address may have "
            "changed."
        ),
    ),
}
"""How a listed entry differs from what was seen, with a suggestion and without one."""


def near_sentence(near: Near, seen: str) -> str:
    """Return the sentence about an entry that nearly matches ``seen``, a page's origin or an address."""
    with_suggestion, without = NEAR[near.difference]
    values = {
        "seen": display(seen),
        "entry": display(near.entry),
        "suggestion": display(near.suggestion or ""),
    }
    return str((without if near.suggestion is None else with_suggestion) % values)


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


def validate_domain(value: str) -> None:
    """Raise ValidationError unless ``value`` may be saved as a domain entry. For ``validators=[…]``."""
    clean_domain(value)


def validate_ip(value: str) -> None:
    """Raise ValidationError unless ``value`` may be saved as an IP entry. For ``validators=[…]``."""
    clean_ip(value)


def explained(error: EntryError) -> ValidationError:
    """Return the error as sentences for people: what is wrong, what to do, what was probably meant."""
    forms = ", ".join(FORM_EXAMPLES[form] for form in settings().DOMAIN_FORMS)
    values = {"entry": shown(error.text), "example": "".join(error.guesses[:1]), "forms": forms}
    sentence = str(_sentence(error.problem) % values)
    if error.guesses and error.problem is not Problem.PUBLIC_SUFFIX:
        sentence += f" {_did_you_mean(*error.guesses[: len(DID_YOU_MEAN)])}"
    return ValidationError(sentence, code=error.problem)


def _did_you_mean(*guesses: str) -> str:
    return str(
        DID_YOU_MEAN[len(guesses) - 1] % dict(zip(("first", "second", "third"), guesses, strict=False))
    )


def _sentence(problem: Problem) -> Promise:
    """Return the problem's sentence, with advice that can be followed under the settings in force."""
    conf = settings()
    if problem is Problem.EVERYTHING and Mode.ALL not in conf.DOMAIN_MODES:
        return EVERY_SITE_IF_EMPTY if conf.EMPTY_LIST == "allow" else EVERY_SITE_NEVER
    if problem is Problem.EVERY_ADDRESS and Mode.ALL not in conf.IP_MODES:
        return EVERY_ADDRESS_IF_EMPTY if conf.EMPTY_LIST == "allow" else EVERY_ADDRESS_NEVER
    if problem is Problem.HOST_PORT and "origin" not in conf.DOMAIN_FORMS:
        return PORTS_NEVER
    if problem in NETWORK_PROBLEMS and "network" not in conf.IP_FORMS:
        return NETWORKS_NEVER
    return SENTENCES[problem]


def shown(text: str) -> str:
    """Return ``text`` fit for a message: shortened, with escapes for characters that can't be printed."""
    short = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in short
    )
