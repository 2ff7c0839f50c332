"""The settings of the token-access recipe."""

ALLOWLIST = {
    "DOMAIN_FORMS": ("host",),
    "IP_FORMS": ("address",),
    "PUBLIC_IPS_ONLY": True,
    "MAX_DOMAINS": 5,
    "MAX_IPS": 5,
    "DOMAIN_MODES": ("all", "listed"),
    "IP_MODES": ("all", "listed"),
    "CONDITIONS": ("by_source",),
    "EMPTY_LIST": "deny",
    "TRUSTED_PROXIES": ("127.0.0.1",),  # A proxy on this machine; name the networks of yours.
}
