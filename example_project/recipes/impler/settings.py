"""The settings of the impler recipe."""

ALLOWLIST = {
    "DOMAIN_FORMS": ("origin",),
    "DOMAIN_MODES": ("listed",),
    "IP_MODES": ("all",),
    "CONDITIONS": ("all",),
    "EMPTY_LIST": "allow",
    "MISSING_ORIGIN": "allow",
    "MAX_DOMAINS": None,
}
