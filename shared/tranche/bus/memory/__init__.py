"""The bus in memory: the same visible behaviour as NATS JetStream, on whatever clock it is given.

For tests and simulation. Nothing runs by itself: what falls due (redeliveries, expiries, schedules) is settled
when somebody looks, and whoever waits wakes at the next due time.
"""

from tranche.bus.memory.broker import MemoryBroker
from tranche.bus.memory.bus import MemoryBus

__all__ = ["MemoryBroker", "MemoryBus"]
