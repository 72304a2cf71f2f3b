"""The same packs behind a Bluetooth module: notifications, orders, and what modules do to them.

A pack and its module::

    gatt = GattPack(pack, generation=Generation.CELLS_32, mtu=247, glue=Glue.GLUED_IDLE)
    gatt.connect(now)
    gatt.write(order, now)
    while (due := gatt.due()) is not None:
        notifications = gatt.collect(due)

There is neither asyncio nor a radio here.  `characteristics(kind)` is what the two kinds
of modules offer: FFE1 twice, or FFE1 that does everything beside FFE2.  A pack takes one
client; while it has one it cannot be seen.  `gatt.mute = True` keeps the frames back and
lets the module's own text go on, `gatt.lose` drops notifications by their number.
"""

from .frames import Generation, frame_of, make_older
from .gatt import GattPack, Glue
from .module import Characteristic, Kind, characteristics

__all__ = [
    "Characteristic",
    "GattPack",
    "Generation",
    "Glue",
    "Kind",
    "characteristics",
    "frame_of",
    "make_older",
]
