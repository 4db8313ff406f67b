"""Which addresses the receiver hears, as an operator writes them and as the inbox keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from campaign.errors import UsageError

Network = IPv4Network | IPv6Network

EVERYBODY = "any"
_MAPPED = IPv6Network("::ffff:0:0/96")


def parse_sources(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks from addresses and CIDR ranges; none for `any`, which means everybody.

    IPv4 inside IPv6 (`::ffff:192.0.2.1`) is IPv4. Raises `UsageError` that says how to write it.
    """
    words = [word for text in texts for word in text.replace(",", " ").split()]
    if EVERYBODY in words:
        if set(words) != {EVERYBODY}:
            raise UsageError("--allow any stands alone: it lets everybody in who has the token")
        return ()
    networks = {_network(word) for word in words}
    return tuple(sorted(networks, key=lambda n: (n.version, n.network_address.packed, n.prefixlen)))


def sources_text(networks: Sequence[Network]) -> str:
    """How networks are kept and shown: `any`, or ranges in one line."""
    return " ".join(map(str, networks)) or EVERYBODY


def _network(word: str) -> Network:
    try:
        network = ip_network(word, strict=False)
    except ValueError:
        raise UsageError(
            f"--allow {word}: write an address or a range, as 192.0.2.10 or 192.0.2.0/24, or any"
        ) from None
    address = word.partition("/")[0]
    if ip_address(address) != network.network_address:
        raise UsageError(
            f"--allow {word} is not a range: write {address} for this one or {network} for all"
        )
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        inner = network.network_address.ipv4_mapped
        return ip_network(f"{inner}/{network.prefixlen - 96}")
    return network
