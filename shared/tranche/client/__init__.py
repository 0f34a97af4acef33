"""The library: ask planners, watch rollouts (design 9.5). The command line is made of it and of nothing else."""

from tranche.client.client import Client
from tranche.client.connecting import connect
from tranche.client.until import BatchVerified, Complete, Outcome, Until, Verdict, Waiting, judge, parse_until

__all__ = [
    "BatchVerified",
    "Client",
    "Complete",
    "Outcome",
    "Until",
    "Verdict",
    "Waiting",
    "connect",
    "judge",
    "parse_until",
]
