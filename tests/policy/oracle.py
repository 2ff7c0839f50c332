"""The oracle: what a browser sees at a URL, read by ada-url alone, without our own parsers."""

import ada_url

DEFAULT_PORTS = {"http": "80", "https": "443"}


LISTED = [
    *("https://allowed.com", "https://shop.allowed.com:8443", "http://localhost:3000", "http://[::1]:3000"),
    *("http://intranet", "host.com", "127.0.0.1", "xn--fa-hia.de", "https://*.wild.com"),
    *("https://*.wild.com:8443", "*.any.org", "*.xn--bcher-kva.de"),
]
"""Entries of each form, which what is tried is near to."""


def covers(entry: str, url: str) -> bool:
    """Return whether a browser at ``url`` is at the place that the canonical ``entry`` names.

    Raises ValueError where a browser would not go there at all.
    """
    seen = ada_url.URL(url)
    scheme = seen.protocol.removesuffix(":")
    port = seen.port or DEFAULT_PORTS[scheme]
    host = seen.hostname.removesuffix(".")
    wanted_scheme, separator, rest = entry.rpartition("://")
    wanted_host, wanted_port = rest, ""
    if separator and rest.rpartition(":")[2].isdigit() and not rest.endswith("]"):
        wanted_host, _, wanted_port = rest.rpartition(":")
    if separator:
        wanted_port = wanted_port or DEFAULT_PORTS[wanted_scheme]
        if (scheme, port) != (wanted_scheme, wanted_port):
            return False
    if wanted_host.startswith("*."):
        return _is_below(host, wanted_host[2:])
    return bool(host == wanted_host)


def _is_below(host: str, parent: str) -> bool:
    return len(host) > len(parent) + 1 and host.endswith("." + parent)
