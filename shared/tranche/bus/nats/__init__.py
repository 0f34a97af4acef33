"""The bus over NATS JetStream: a thin typed adapter over nats-py (design 4)."""

from tranche.bus.nats.bus import NatsBus
from tranche.bus.nats.connection import connect

__all__ = ["NatsBus", "connect"]
