"""Room for many sockets in one process."""

from __future__ import annotations

try:
    import resource
except ImportError:  # Windows has no such limit.
    resource = None  # type: ignore[assignment]  # the module is optional

PER_BASE = 12
"""Descriptors to count on per base: its listener and a few connections."""
SPARE = 256


def room_for(bases: int) -> None:
    """Raise the soft limit of open files as far as the hard one allows, where so many bases need it."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = bases * PER_BASE + SPARE
    if soft in (-1, resource.RLIM_INFINITY) or soft >= wanted:
        return
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if limit > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
