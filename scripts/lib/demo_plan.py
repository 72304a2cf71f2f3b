"""What the demo shows: its buses, who is on them, and the way through the config flow of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from .ha_flow import Walk

USER: Final = "demo"
PASSWORD: Final = "demo"

_DAY: Final = ("--day", "900")
"""Sun, evening and night within a quarter of an hour."""
_LOW_RANGE: Final = "venus-15.41-16s"
_MID_RANGE: Final = "syssi-15.38-16s"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedBus:
    """One simulated bus and the entry that is made of it."""

    title: str
    wire: str
    """The simulator's option that takes an address and a port."""
    addresses: tuple[int, ...]
    role: tuple[str, ...] = ()
    kind: str
    """Of its packs, while they are alike and move."""
    faults: tuple[str, ...] = ()
    walk: Callable[[str], Walk]
    """The way through the flow, to this line."""

    def options(self, address: str, *, still: bool) -> tuple[str, ...]:
        """Return the simulator's options; still packs show what was captured."""
        packs = ("--packs", ",".join(map(str, self.addresses)) + ",")
        how = ("--still",) if still else ("--alike", self.kind, *_DAY, *self.faults)
        return (self.wire, address, *packs, *self.role, *how)


def _asked(url: str) -> Walk:
    return Walk(
        choices={"user": "rs485", "confirm_scan": "scan"},
        values={"device": url, "write_tier": "protection", "understood": True},
    )


def _heard(url: str) -> Walk:
    return Walk(
        choices={"user": "rs485", "foreign_master": "follow"}, values={"device": url}
    )


def _on_can(url: str) -> Walk:
    parts = urlsplit(url)
    line: dict[str, Any] = {"host": parts.hostname, "port": parts.port}
    return Walk(choices={"user": "can", "can": "can_network"}, values=line)


ASKED: Final = PlannedBus(
    title="Four packs, asked",
    wire="--tcp",
    addresses=(1, 2, 3, 4),
    kind=_LOW_RANGE,
    faults=("--fault", "alarm:address=3:bit=0:after=150:length=60:every=600"),
    walk=_asked,
)
HEARD: Final = PlannedBus(
    title="Inverter's packs, listened to",
    wire="--tcp",
    addresses=(0, 5, 6),
    role=("--role", "master"),
    kind=_MID_RANGE,
    walk=_heard,
)
CAN: Final = PlannedBus(
    title="One pack on CAN",
    wire="--can-tcp",
    addresses=(7,),
    kind=_LOW_RANGE,
    walk=_on_can,
)
BUSES: Final = (ASKED, HEARD, CAN)
"""A pack's address occurs once among all: its serial number is made of it."""

BANK: Final = Walk()
"""The bank is offered as soon as there are packs, and needs but a yes."""
