"""The client's IP address: the peer's, unless the peer is a proxy that the project trusts.

Every client can send ``X-Forwarded-For``. Only what trusted proxies appended to it, at its right end,
can be believed.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address

from django.http import HttpRequest
from ipware import get_client_ip

from ..conf import Settings, settings
from ..policy.networks import Address, parse_address
from ..policy.origins import parse_port

_WITH_PORT = re.compile(r"([0-9.]+):([0-9]+)|\[([^\]]*)\](?::([0-9]+))?", re.ASCII)

_ANY = IPv4Address(0)
_MAX_HOPS = 100
"""How many hops are read: a header with thousands must not cost the view milliseconds."""


def client_address(request: HttpRequest) -> Address | None:
    """Return the client's address, or None if it cannot be known."""
    conf = settings()
    peer = _peer(request)
    if not _is_proxy(peer, conf):
        return peer
    if conf.trusts_unix and peer == _ANY:
        peer = None
    forwarded = request.META.get(conf.client_ip_meta)
    if forwarded is None:
        return peer
    # The hops beyond the last one that is read stay one string, which isn't an address.
    return _walk(reversed(forwarded.rsplit(",", _MAX_HOPS)), conf)


def ignores_header(request: HttpRequest) -> bool:
    """Return whether the request has the header, but from a peer that isn't a trusted proxy."""
    conf = settings()
    return conf.client_ip_meta in request.META and not _is_proxy(_peer(request), conf)


def _walk(hops: Iterable[str], conf: Settings) -> Address | None:
    """Return the first of ``hops`` that isn't a trusted proxy; the last one if all are trusted."""
    address = None
    for hop in hops:
        address = _parse_hop(hop)
        if address is None or not _is_trusted(address, conf):
            break
    return address


def _parse_hop(hop: str) -> Address | None:
    text = hop.strip(" \t")
    if match := _WITH_PORT.fullmatch(text):
        text, port = match[1] or match[3], match[2] or match[4]
        if port is not None and parse_port(port) is None:
            return None
    return parse_address(text)


def _is_proxy(peer: Address | None, conf: Settings) -> bool:
    if conf.trusts_unix and (peer is None or peer == _ANY):
        return True
    return peer is not None and _is_trusted(peer, conf)


def _is_trusted(address: Address, conf: Settings) -> bool:
    return any(address in network for network in conf.trusted_networks)


def _peer(request: HttpRequest) -> Address | None:
    """Return the address at the other end of the TCP connection, or None if the server has none.

    Plain addresses are read here, and django-ipware reads the rest (ports, brackets, zones). By its
    defaults it would believe any client, so it may read ``REMOTE_ADDR`` alone. These arguments override
    a project's own IPWARE settings.
    """
    remote = request.META.get("REMOTE_ADDR") or ""
    if address := parse_address(remote):
        return address
    text, _routable = get_client_ip(
        request, request_header_order=["REMOTE_ADDR"], proxy_count=0, strict=True, algorithm="modern"
    )
    return None if text is None else parse_address(text.partition("%")[0])
