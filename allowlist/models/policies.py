"""From a key's stored fields to the policy in force."""

from typing import Any, Protocol

from ..conf import Settings
from ..policy.decision import Condition, Mode, Policy
from ..policy.entries import DomainList
from ..policy.networks import IPList
from .choices import Enforcement


class Fields(Protocol):
    """A key's fields by attribute name."""

    def __getitem__(self, name: str) -> Any:
        """Return the field's value."""


def policy_in_force(row: Fields, domains: DomainList, ips: IPList, conf: Settings) -> Policy:
    """Return the policy of a key with these fields and lists; raise ValueError for an invalid mode."""
    # A key that only reports records what its empty list would refuse.
    empty_is_off = conf.EMPTY_LIST == "allow" and row["enforcement"] != Enforcement.REPORT
    domains_on = Mode(row["domain_mode"]) is Mode.LISTED
    ips_on = Mode(row["ip_mode"]) is Mode.LISTED
    return Policy(
        domains if domains_on and (domains.count or not empty_is_off) else None,
        ips if ips_on and (ips.count or not empty_is_off) else None,
        Condition(row["condition"]),
        conf.MISSING_ORIGIN,
    )
