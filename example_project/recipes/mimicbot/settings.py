"""The settings of the mimicbot recipe."""

ALLOWLIST = {
    "DOMAIN_FORMS": ("origin",),
    "DOMAIN_MODES": ("listed",),
    "IP_MODES": ("all",),
    "CONDITIONS": ("all",),
    "EMPTY_LIST": "deny",
    "MISSING_ORIGIN": "deny",
    "MAX_DOMAINS": None,
}
