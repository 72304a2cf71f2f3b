"""What a CAN bus is reached through: the adapter, and what it has to be told."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

BITRATES: Final = (500_000, 250_000)
"""bit/s that a JK speaks, the more usual one first (can.md 1.1)."""


class CanAdapter(StrEnum):
    """Kinds of adapters; all but the last are python-can's names of them."""

    SOCKETCAN = "socketcan"
    SLCAN = "slcan"
    GS_USB = "gs_usb"
    SOCKETCAND = "socketcand"
    SEEEDSTUDIO = "seeedstudio"
    CANALYSTII = "canalystii"
    ROBOTELL = "robotell"
    SERIAL = "serial"
    PCAN = "pcan"
    KVASER = "kvaser"
    CAN_TCP = "can_tcp"
    """A gateway that passes records of 13 bytes (can.md 3.3)."""


class Channel(StrEnum):
    """What the channel of an adapter is."""

    INTERFACE = "interface"
    """A network interface, such as can0."""
    DEVICE = "device"
    """A serial port, or a pyserial URL where the adapter understands one."""
    NUMBER = "number"
    """The number of a device or of its channel, from 0."""
    NAME = "name"
    """A name that the driver gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What an adapter has to be told, and what it can do."""

    channel: Channel | None = None
    """None where it has none."""
    network: bool = False
    """It is reached at a host and a port."""
    bitrate: bool = False
    """It is told the bit rate; the others have one already."""
    silent: bool = False
    """It can listen without acknowledging what it hears."""
    standard_only: bool = False
    """It passes 11-bit messages and no others."""
    url: bool = False
    """Its device may be a pyserial URL, such as socket://host:port."""


TRAITS: Final[Mapping[CanAdapter, Traits]] = {
    CanAdapter.SOCKETCAN: Traits(channel=Channel.INTERFACE),
    CanAdapter.SLCAN: Traits(
        channel=Channel.DEVICE, bitrate=True, silent=True, url=True
    ),
    CanAdapter.GS_USB: Traits(channel=Channel.NUMBER, bitrate=True),
    CanAdapter.SOCKETCAND: Traits(channel=Channel.INTERFACE, network=True),
    CanAdapter.SEEEDSTUDIO: Traits(
        channel=Channel.DEVICE, bitrate=True, silent=True, standard_only=True
    ),
    CanAdapter.CANALYSTII: Traits(channel=Channel.NUMBER, bitrate=True),
    CanAdapter.ROBOTELL: Traits(channel=Channel.DEVICE, bitrate=True, url=True),
    CanAdapter.SERIAL: Traits(channel=Channel.DEVICE, url=True),
    CanAdapter.PCAN: Traits(channel=Channel.NAME, bitrate=True, silent=True),
    CanAdapter.KVASER: Traits(channel=Channel.NUMBER, bitrate=True, silent=True),
    CanAdapter.CAN_TCP: Traits(network=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CanPort:
    """One way to a CAN bus, and how to take part in it."""

    adapter: CanAdapter
    channel: str | None = None
    host: str | None = None
    port: int | None = None
    bitrate: int | None = None
    """bit/s; None where the adapter is not told one, or where it is still to be found out."""
    listen_only: bool = False
    """Never acknowledge. A BMS that nobody acknowledges repeats one frame for ever (can.md 3.1)."""
    acknowledge: bool = False
    """Send 0x305 each second, as an inverter does (can.md 2.3)."""

    def __post_init__(self) -> None:
        """Refuse with ValueError what cannot be opened."""
        traits = self.traits
        if bool(self.channel) is not (traits.channel is not None):
            raise ValueError(f"{self.adapter}: {traits.channel or 'no channel'} needed")
        if traits.channel is Channel.NUMBER and not str(self.channel).isdecimal():
            raise ValueError(f"{self.adapter}: {self.channel!r} is no number")
        if not traits.url and "://" in (self.channel or ""):
            raise ValueError(f"{self.adapter}: a device is needed, not a URL")
        if traits.network is not bool(self.host and self.port):
            raise ValueError(f"{self.adapter}: host and port, or neither")
        if self.port is not None and not 0 < self.port < 65536:
            raise ValueError(f"{self.port} is no port")
        if self.bitrate is not None and not traits.bitrate:
            raise ValueError(f"{self.adapter} cannot be told a bit rate")
        if self.bitrate not in (None, *BITRATES):
            raise ValueError(f"no JK speaks {self.bitrate} bit/s")
        if self.listen_only and not traits.silent:
            raise ValueError(f"{self.adapter} cannot only listen")
        if self.listen_only and self.acknowledge:
            raise ValueError("who only listens acknowledges nothing")

    @property
    def traits(self) -> Traits:
        """What the adapter has to be told, and what it can do."""
        return TRAITS[self.adapter]

    @property
    def name(self) -> str:
        """The way to the bus in one word, the same for every way of taking part in it."""
        if not self.traits.network:
            return f"{self.adapter}:{self.channel}"
        host = f"[{self.host}]" if ":" in str(self.host) else self.host
        path = f"/{self.channel}" if self.channel else ""
        return f"{self.adapter}://{host}:{self.port}{path}"

    @property
    def over_network(self) -> bool:
        """Whether the adapter is reached over a network."""
        return self.traits.network or "://" in (self.channel or "")

    def dump(self) -> dict[str, Any]:
        """Return it as plain data, without what is not set."""
        fields = {
            "adapter": self.adapter.value,
            "channel": self.channel,
            "host": self.host,
            "port": self.port,
            "bitrate": self.bitrate,
            "listen_only": self.listen_only or None,
            "acknowledge": self.acknowledge or None,
        }
        return {key: value for key, value in fields.items() if value is not None}

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Self:
        """Read what `dump` wrote, among other keys; raises ValueError."""
        port, bitrate = data.get("port"), data.get("bitrate")
        return cls(
            adapter=CanAdapter(data.get("adapter", "")),
            channel=data.get("channel"),
            host=data.get("host"),
            # What forms and JSON make of a number.
            port=None if port is None else int(port),
            bitrate=None if bitrate is None else int(bitrate),
            listen_only=bool(data.get("listen_only", False)),
            acknowledge=bool(data.get("acknowledge", False)),
        )
