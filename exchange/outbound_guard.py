"""May the exchange call this address? URLs come from outside, so they must not lead to what only we can reach.

Two checks, both needed: `refusal_of_url` before anything is resolved, and `is_public` for every address that the host
turned out to have, right before the connection to that very address. Resolving, checking and connecting are one step in
the sender, so a name that changes in between gains nothing.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final
from urllib.parse import urlsplit

from exchange.networks import Address, address_of

# In which an IPv4 address is hidden: NAT64 (RFC 6052, 8215), 6to4 (RFC 3056).
_NAT64: Final = ip_network("64:ff9b::/96")
_LOCAL_NAT64: Final = ip_network("64:ff9b:1::/48")
_6TO4: Final = ip_network("2002::/16")
_COMPATIBLE: Final = ip_network("::/96")
_TEREDO: Final = ip_network("2001::/32")
# Ports of services that read text sent to them as commands, which browsers refuse too (Fetch Standard §2.9).
_PORTS: Final = frozenset({21, 22, 23, 25, 53, 110, 111, 139, 143, 389, 445, 465, 587, 993, 995, 2049, 6379, 11211})


def refusal_of_url(url: str, *, private_allowed: bool = False) -> str:
    """Why this URL is not called, as a sentence; empty when it may be tried."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url or len(url) > 2_048:
        return "the URL holds characters that none may hold, or too many"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"the URL cannot be read: {error}"
    if parts.scheme not in ("http", "https"):
        return f"its scheme is {parts.scheme[:20]!r}: http and https are called"
    if not host or host.startswith("."):
        return "the URL names no host"
    if "@" in parts.netloc:
        return "the URL names a user, which is not sent"
    if port in _PORTS or port == 0:
        return f"port {port} is none of HTTP's"
    if "%" in host:
        return "its host is written in a way that hides what it is"
    address = address_of(host)
    if private_allowed:
        return ""
    if address is not None and not is_public(address):
        return f"{host} is no public address"
    if host.rstrip(".") == "localhost" or host.rstrip(".").endswith(
        (".localhost", ".local", ".internal", ".home.arpa")
    ):
        return f"{host} is a name of this machine or of its own network"
    return ""


def is_public(address: Address) -> bool:
    """Is it an address of the open internet, also beneath the forms in which an IPv4 address is written as IPv6?"""
    if isinstance(address, IPv6Address):
        hidden = _hidden(address)
        if hidden is not None:
            return is_public(hidden)
        if address in _LOCAL_NAT64 or address in _TEREDO or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved and not address.is_unspecified


def _hidden(address: IPv6Address) -> IPv4Address | None:
    number = int(address)
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _6TO4:
        return IPv4Address(number >> 80 & 0xFFFF_FFFF)
    if address in _NAT64 or address in _COMPATIBLE:
        return IPv4Address(number & 0xFFFF_FFFF)
    return None
