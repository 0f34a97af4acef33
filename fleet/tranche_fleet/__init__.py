"""Simulated bases that answer arklet's HTTP API as the real one was recorded, faults on demand."""

from tranche_fleet.arklet import Settings
from tranche_fleet.base import Base
from tranche_fleet.catalogue import Artefact, Catalogue
from tranche_fleet.client import FleetControl
from tranche_fleet.control import Control
from tranche_fleet.faults import Fault, Faults, Kind
from tranche_fleet.fleet import Fleet
from tranche_fleet.pod import Pod
from tranche_fleet.timeline import Timeline

__all__ = [
    "Artefact",
    "Base",
    "Catalogue",
    "Control",
    "Fault",
    "Faults",
    "Fleet",
    "FleetControl",
    "Kind",
    "Pod",
    "Settings",
    "Timeline",
]
