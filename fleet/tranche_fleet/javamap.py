"""The order in which a Java ConcurrentHashMap with string keys is walked: arklet lists modules in it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache


@lru_cache(maxsize=4096)
def java_hash(text: str) -> int:
    """`String.hashCode`, unsigned 32 bits, spread the way the map spreads it.

    >>> java_hash("cart") & 15, java_hash("orders") & 15
    (14, 10)
    """
    value = 0
    for unit in text.encode("utf-16-be", "surrogatepass").hex(" ", 2).split():
        value = (31 * value + int(unit, 16)) & 0xFFFFFFFF
    return value ^ (value >> 16)


def java_order(keys: Iterable[str]) -> list[str]:
    """The keys, given in the order they were put in, in the order the map lists them.

    The table starts with 16 buckets and doubles when it is three quarters full.

    >>> java_order(["cart", "orders"])
    ['orders', 'cart']
    >>> java_order(["1.0.0", "2.0.0"])
    ['2.0.0', '1.0.0']
    """
    known = list(keys)
    buckets = 16
    while len(known) > buckets * 3 // 4:
        buckets *= 2
    return sorted(known, key=lambda key: java_hash(key) & (buckets - 1))
