"""An inverter at the other end: it obeys what it is told, checks it, and gives up in time.

    host = InverterHost(LANGUAGES["victron"])
    bus = Bus([host], bitrate=500_000)
    ...let something speak on the bus, then look at host.held(now) and host.complaints

`Inverter` of `simulator.can` only says that it is there; this one listens.
"""

from .host import Held, InverterHost
from .languages import LANGUAGES, Expected

__all__ = ["LANGUAGES", "Expected", "Held", "InverterHost"]
