"""What people choose from, with the labels they see."""

from enum import StrEnum

from django.utils.translation import gettext_lazy

from ..policy.decision import Condition, Mode
from ..policy.tokens import Environment, Kind


class Enforcement(StrEnum):
    """What happens to a request that a key's lists refuse."""

    ENFORCE = "enforce"
    REPORT = "report"
    """It is served, and reported to the log and the signal."""


class Status(StrEnum):
    """Whether a key works."""

    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"


DOMAIN_MODES = [
    (str(Mode.ALL), gettext_lazy("Allow all domains")),
    (str(Mode.LISTED), gettext_lazy("Allow only listed domains")),
]
IP_MODES = [
    (str(Mode.ALL), gettext_lazy("Allow all IPs")),
    (str(Mode.LISTED), gettext_lazy("Allow only listed IPs")),
]
CONDITIONS = [
    (str(Condition.ALL), gettext_lazy("Domain and IP must both match")),
    (str(Condition.ANY), gettext_lazy("Domain or IP can match")),
    (str(Condition.BY_SOURCE), gettext_lazy("Browsers by domain, servers by IP")),
]
KINDS = [
    (str(Kind.PUBLISHABLE), gettext_lazy("Publishable: for web pages")),
    (str(Kind.SECRET), gettext_lazy("Secret: for servers only")),
]
ENVIRONMENTS = [
    (str(Environment.LIVE), gettext_lazy("Live")),
    (str(Environment.TEST), gettext_lazy("Test")),
]
ENFORCEMENTS = [
    (str(Enforcement.ENFORCE), gettext_lazy("Block requests that aren't listed")),
    (str(Enforcement.REPORT), gettext_lazy("Monitor only: allow and log")),
]
