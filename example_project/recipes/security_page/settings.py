"""The settings of the security-page recipe: allowlist's own defaults, but for the conditions."""

ALLOWLIST = {
    "DOMAIN_MODES": ("all", "listed"),
    "IP_MODES": ("all", "listed"),
    "CONDITIONS": ("all", "any"),
    "DOMAIN_FORMS": ("origin", "host", "wildcard"),
    "IP_FORMS": ("address", "network"),
    "EMPTY_LIST": "refuse",
    "MISSING_ORIGIN": "deny",
    "MAX_DOMAINS": 25,
    "MAX_IPS": 25,
}
