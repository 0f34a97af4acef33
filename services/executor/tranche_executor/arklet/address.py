"""Where a base is: ``host:port`` and nothing else, and never where a machine's secrets are handed out."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from aiohttp import ThreadedResolver
from aiohttp.abc import ResolveResult

_ADDRESS = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})):(?P<port>[0-9]{1,5})"
)

# Metadata services outside the link-local ranges: Alibaba Cloud's and the IPv6 one of AWS.
_METADATA = frozenset({ip_address("100.100.100.200"), ip_address("fd00:ec2::254")})


class ForbiddenHost(OSError):
    """A name that resolves only to addresses we do not speak to."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host name or IP address, without brackets, and a TCP port."""

    host: str
    port: int


@lru_cache(maxsize=10_000)
def read_address(text: str) -> Address | str:
    """The address, or what was expected instead.

    >>> read_address("10.0.0.7:1238"), read_address("[fd00::7]:1238")
    (Address(host='10.0.0.7', port=1238), Address(host='fd00::7', port=1238))
    >>> read_address("http://10.0.0.7:1238/x")
    'host:port with a port of 1 to 65535'
    >>> read_address("169.254.169.254:80")
    'a host that is not a link-local, multicast or metadata address'
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65536:
        return "host:port with a port of 1 to 65535"
    host = match["host"].strip("[]")
    if match["host"].startswith("[") and _ip(host) is None:
        return "an IPv6 address between the brackets"
    if forbidden(host):
        return "a host that is not a link-local, multicast or metadata address"
    return Address(host, int(match["port"]))


def forbidden(host: str) -> bool:
    """Whether the host is an IP address we do not speak to; a name is judged when it is resolved."""
    ip = _ip(host)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip is not None and (ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip in _METADATA)


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


class GuardedResolver(ThreadedResolver):
    """The system's resolver without the addresses we do not speak to.

    A connection goes to what was resolved and judged here: a name cannot change its meaning in between.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """All addresses that may be used. Raises ForbiddenHost where none is left."""
        found = await super().resolve(host, port, family)
        allowed = [result for result in found if not forbidden(result["host"])]
        if found and not allowed:
            raise ForbiddenHost(f"{host} is a link-local, multicast or metadata address")
        return allowed
