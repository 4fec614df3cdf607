"""Is an address within one of these networks? A few thousand prefixes, found by bisection."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, collapse_addresses, ip_address, ip_network

from common.errors import FieldError, InvalidInput

Address = IPv4Address | IPv6Address


class Networks:
    """A set of networks; IPv4 addresses that are written as IPv6 are found as IPv4."""

    def __init__(self, prefixes: Iterable[str] = ()) -> None:
        """InvalidInput names every line that is no prefix; comments begin with #."""
        errors, v4, v6 = [], [], []
        for number, line in enumerate(prefixes, 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            try:
                network = ip_network(text, strict=False)
            except ValueError:
                errors.append(FieldError(f"line {number}", repr(text[:60]), "write a prefix such as 203.0.113.0/24"))
                continue
            if network.version == 4:
                v4.append(network)
            else:
                v6.append(network)
        if errors:
            raise InvalidInput(errors)
        self._ranges: dict[int, tuple[list[int], list[int]]] = {}
        for version, networks in ((4, collapse_addresses(v4)), (6, collapse_addresses(v6))):
            pairs = sorted((int(n.network_address), int(n.broadcast_address)) for n in networks)
            self._ranges[version] = ([first for first, _ in pairs], [last for _, last in pairs])

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, (IPv4Address, IPv6Address)):
            return False
        firsts, lasts = self._ranges[address.version]
        at = bisect_right(firsts, int(address)) - 1
        return at >= 0 and int(address) <= lasts[at]


def address_of(text: str) -> Address | None:
    """The address in a text, IPv4 where it is an IPv4 address written as IPv6; None when it is none."""
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def caller_address(peer: str, forwarded_for: str, proxies: Networks) -> Address | None:
    """Who called: the peer, or what the nearest trusted proxy says before it.

    `forwarded_for` is the header X-Forwarded-For, in which each proxy adds whom it heard at the end; it is believed
    only as far as those who wrote it are `proxies`.
    """
    address = address_of(peer)
    for heard in reversed(forwarded_for.split(",")[-16:]):
        if address is None or address not in proxies:
            break
        before = address_of(heard)
        if before is None:
            break
        address = before
    return address
