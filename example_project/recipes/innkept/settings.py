"""The settings of the innkept recipe."""

ALLOWLIST = {
    "DOMAIN_FORMS": ("host", "wildcard"),
    "DOMAIN_MODES": ("listed",),
    "IP_MODES": ("all",),
    "CONDITIONS": ("all",),
    "EMPTY_LIST": "allow",
    "MISSING_ORIGIN": "deny",
    "MAX_DOMAINS": None,
}
