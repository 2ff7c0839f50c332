"""What may be listed under the settings in force, in words."""

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..conf import settings
from ..models.lists import DOMAINS, ListKind
from ..validators import FORM_EXAMPLES

IP_EXAMPLES = {"address": "203.0.113.7", "network": "203.0.113.0/24"}
FORM_HELP: dict[str, Promise] = {
    "origin": gettext_lazy("https://example.com is exactly this origin: scheme, host and port must match."),
    "host": gettext_lazy("example.com is this host with any scheme and port, but not its subdomains."),
    "wildcard": gettext_lazy("*.example.com is every subdomain, but not example.com itself."),
    "address": gettext_lazy("203.0.113.7 is one IP address."),
    "network": gettext_lazy("203.0.113.0/24 is every IP address of a network."),
}
"""What an entry of each form matches."""
EMPTY: dict[str, dict[str, Promise]] = {
    "allow": {
        "allowed_domains": gettext_lazy("While the list is empty, every domain is allowed."),
        "allowed_ips": gettext_lazy("While the list is empty, every IP address is allowed."),
    },
    "deny": {
        "allowed_domains": gettext_lazy("While the list is empty, no domain is allowed."),
        "allowed_ips": gettext_lazy("While the list is empty, no IP address is allowed."),
    },
}
"""What an enabled list without entries does, by ``EMPTY_LIST``; ``refuse`` has none."""


def forms_of(kind: ListKind) -> tuple[str, ...]:
    """Return the forms that an entry of the list may have."""
    conf = settings()
    return conf.DOMAIN_FORMS if kind is DOMAINS else conf.IP_FORMS


def example_of(kind: ListKind) -> str:
    """Return an entry that the list takes."""
    return {**FORM_EXAMPLES, **IP_EXAMPLES}[forms_of(kind)[0]]


def entry_help(kind: ListKind) -> list[str]:
    """Return a sentence for each form that the list takes, and for what else is to know about it."""
    conf = settings()
    sentences = [str(FORM_HELP[form]) for form in forms_of(kind)]
    if kind is not DOMAINS and conf.PUBLIC_IPS_ONLY:
        sentences.append(_("Enter the server's public IP address. Private addresses can't be listed."))
    if kind is DOMAINS and conf.MISSING_ORIGIN == "allow":
        sentences.append(_("Requests from servers, which name no domain, aren't affected."))
    return sentences


def empty_help(kind: ListKind) -> str:
    """Return what the list does while it is enabled and empty; nothing if it can't be."""
    return str(EMPTY.get(settings().EMPTY_LIST, {}).get(kind.field, ""))
