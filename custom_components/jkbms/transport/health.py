"""How it stands with a bus, and what is wrong with it: judged from what is counted anyway.

No clock and no I/O: each judgement is told the time. Nothing is called a trouble before
there is enough evidence, and none stays when the evidence is gone.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
import re
from typing import Any, Final

from ..protocol.frames import FRAME_SIZE, MAGIC
from ..protocol.masking import Message
from ..protocol.survey import Finding, diagnose
from .connections import Connections
from .link import LinkFault
from .session import LinkState, LinkStatus

_STARTS: Final = 60.0
_SILENT: Final = 45.0
_SILENT_LISTENING: Final = 90.0
"""Seconds without a byte; who only listens waits for a master that may be slow."""
_SILENT_LONG: Final = 300.0
_GARBLED: Final = 60.0
_GARBLED_LONG: Final = 120.0
_GARBLED_BYTES: Final = 24
"""More than adapters emit by themselves; packs that seem away are asked twice a minute."""
_GARBLED_SHARE: Final = 0.9
_REFUSALS: Final = 5
_WINDOW: Final = 600.0
_DAMAGED_FOR: Final = 180.0
_DAMAGED_BYTES: Final = 6000
"""Twenty frames: fewer prove nothing about a line."""
_DAMAGED: Final = 0.10
_SOUND: Final = 0.03
"""Adapters add a few bytes to each frame (rs485.md 3.2): no line is without them."""
_FAULT_LASTS: Final = 60.0
_CUT_MOST: Final = 3
_TOGETHER: Final = 15.0
"""Seconds; packs that fall silent at once have lost their line, not their charge."""
_NEAR_SLEEP: Final = 0.05
_IDLE: Final = 1.0
_FRAME_BEGINS: Final = re.compile(rb"(?=" + re.escape(MAGIC) + rb")")
_TRANSLATED: Final = re.compile(
    rb"[\x00-\x0f]\x10\x16[\x1c-\x20]\x00\x03[\x00-\xff][\x80-\xff]", re.DOTALL
)
"""A read trigger whose head came back as that of a Modbus TCP refusal."""


class Health(StrEnum):
    """What a bus is like; the words of each say what to do."""

    OK = "ok"
    STARTING = "starting"
    MISSING = "missing"
    """Some packs do not answer."""
    ASLEEP = "asleep"
    """All that is missing was about to sleep."""
    SILENT = "silent"
    GARBLED = "garbled"
    DAMAGED = "damaged"
    FOREIGN_MASTER = "foreign_master"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    CLOSED = "closed"
    NO_PORT = "no_port"
    NO_PERMISSION = "no_permission"
    BUSY = "busy"
    INTERFACE_DOWN = "interface_down"
    BUS_ERRORS = "bus_errors"
    OUT_OF_RANGE = "out_of_range"
    IN_USE = "in_use"
    NO_SLOT = "no_slot"
    NO_ADAPTER = "no_adapter"
    UNPAIRED = "unpaired"
    NO_BMS = "no_bms"
    RELEASED = "released"
    FAILED = "failed"


_OF_FAULT: Final = {
    LinkFault.NO_SUCH_PORT: Health.NO_PORT,
    LinkFault.NO_SUCH_INTERFACE: Health.NO_PORT,
    LinkFault.NO_PERMISSION: Health.NO_PERMISSION,
    LinkFault.BUSY: Health.BUSY,
    LinkFault.REFUSED: Health.REFUSED,
    LinkFault.UNKNOWN_HOST: Health.UNREACHABLE,
    LinkFault.UNREACHABLE: Health.UNREACHABLE,
    LinkFault.TIMEOUT: Health.UNREACHABLE,
    LinkFault.LOST: Health.CLOSED,
    LinkFault.INTERFACE_DOWN: Health.INTERFACE_DOWN,
    LinkFault.BUS_ERRORS: Health.BUS_ERRORS,
    LinkFault.OUT_OF_RANGE: Health.OUT_OF_RANGE,
    LinkFault.IN_USE: Health.IN_USE,
    LinkFault.NO_SLOT: Health.NO_SLOT,
    LinkFault.NO_ADAPTER: Health.NO_ADAPTER,
    LinkFault.UNPAIRED: Health.UNPAIRED,
    LinkFault.NO_BMS: Health.NO_BMS,
    LinkFault.RELEASED: Health.RELEASED,
}


class Kind(StrEnum):
    """What a bus is, as far as silence means something else on it."""

    ASKING = "asking"
    LISTENING = "listening"
    CAN = "can"
    BLUETOOTH = "bluetooth"


_ASKS: Final = (Kind.ASKING, Kind.BLUETOOTH)


class Trouble(StrEnum):
    """What its owner can mend, and has to be told how."""

    NOTHING_HEARD = "nothing_heard"
    NOTHING_HEARD_LISTENING = "nothing_heard_listening"
    NOTHING_HEARD_CAN = "nothing_heard_can"
    NOTHING_HEARD_MODBUS = "nothing_heard_modbus"
    GARBLED = "garbled"
    LEGACY_PROTOCOL = "legacy_protocol"
    CUT_FRAMES = "cut_frames"
    DAMAGED_FRAMES = "damaged_frames"
    GATEWAY_CLOSES = "gateway_closes"
    GATEWAY_IN_USE = "gateway_in_use"
    MODBUS_GATEWAY = "modbus_gateway"
    CAN_FOREIGN = "can_foreign"
    CAN_BIT_RATE = "can_bit_rate"
    BLUETOOTH_SILENT = "bluetooth_silent"
    BLUETOOTH_UNPAIRED = "bluetooth_unpaired"
    BLUETOOTH_GONE = "bluetooth_gone"
    BLUETOOTH_IN_USE = "bluetooth_in_use"


_NOTHING_HEARD: Final = {
    Kind.ASKING: Trouble.NOTHING_HEARD,
    Kind.LISTENING: Trouble.NOTHING_HEARD_LISTENING,
    Kind.CAN: Trouble.NOTHING_HEARD_CAN,
    Kind.BLUETOOTH: Trouble.BLUETOOTH_SILENT,
}
_LASTING: Final = {
    LinkFault.UNPAIRED: (Trouble.BLUETOOTH_UNPAIRED, 30.0),
    LinkFault.OUT_OF_RANGE: (Trouble.BLUETOOTH_GONE, 300.0),
    LinkFault.IN_USE: (Trouble.BLUETOOTH_IN_USE, 300.0),
    LinkFault.NO_SLOT: (Trouble.BLUETOOTH_IN_USE, 300.0),
}
"""What is said of a pack on Bluetooth that cannot be reached for so many seconds."""


@dataclass(frozen=True, slots=True)
class PackSight:
    """One pack, as far as the health of its bus depends on it."""

    available: bool
    heard: float | None
    """When it last spoke."""
    sleepy: bool
    """Whether it was about to sleep then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was counted on a bus until now."""

    status: LinkStatus
    yielded: bool = False
    """Whether another master has the bus."""
    released: bool = False
    """Whether its owner lets somebody else have it."""
    heard: int = 0
    """Bytes, without echoes; messages on CAN."""
    last_heard: float | None = None
    useless: int = 0
    """How many of them make nothing; on CAN, are none of a BMS."""
    refused: int = 0
    """Requests that were refused."""
    good: int = 0
    """Blocks that were read."""
    clashing: bool = False
    """Whether two packs share an address, which damages their frames."""
    packs: tuple[PackSight, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of a bus, and what there is to mend with the figures to tell."""

    health: Health
    troubles: Mapping[Trouble, Mapping[str, str]]


def is_sleepy(values: Mapping[str, Any]) -> bool:
    """Tell whether a BMS with these values may fall asleep: low enough, and idle.

    It sleeps after some hours below its smart sleep voltage (rs485.md 2.5).
    """
    limit = values.get("smart_sleep_voltage")
    average = values.get("average_cell_voltage")
    current = values.get("current")
    if limit is None or average is None or current is None:
        return False
    idle = abs(current) <= _IDLE
    switched_off = values.get("smart_sleep") is False
    return idle and not switched_off and bool(average <= limit + _NEAR_SLEEP)


def are_cut(messages: Iterable[Message]) -> bool:
    """Tell whether the damage is that frames begin well and end too early."""
    runs = [m.data for m in messages if m.damaged and not m.sent]
    damaged = [part for run in runs for part in _FRAME_BEGINS.split(run) if part]
    cut = [d for d in damaged if d.startswith(MAGIC) and len(d) < FRAME_SIZE]
    return len(cut) >= _CUT_MOST and 2 * len(cut) >= len(damaged)


class Doctor:
    """Judges one bus, every few seconds."""

    def __init__(
        self,
        kind: Kind,
        connections: Connections,
        raw: Callable[[], bytes],
        messages: Callable[[], Iterable[Message]],
        now: float,
        *,
        converted: bool = False,
    ) -> None:
        """Begin; what was heard last is looked at only where something is wrong.

        On a line that is `converted` a gateway is asked, and nobody else is ever heard.
        """
        self._kind = kind
        self._nothing_heard = (
            Trouble.NOTHING_HEARD_MODBUS if converted else _NOTHING_HEARD[kind]
        )
        self._connections = connections
        self._raw = raw
        self._messages = messages
        self._begun = now
        self._samples: deque[tuple[float, Sample]] = deque()
        self._fault: LinkFault | None = None
        self._fault_since = now
        self._garbled_since: float | None = None
        self._garbled_by: Trouble | None = None
        self._garbled_until = now
        self._damaged: Trouble | None = None
        self._was_complete = False

    def judge(self, sample: Sample, now: float) -> Verdict:
        """Return how it stands now."""
        self._samples.append((now, sample))
        while self._samples[0][0] < now - _WINDOW:
            self._samples.popleft()
        fault = sample.status.fault if sample.status.state is LinkState.DOWN else None
        if fault is not self._fault:
            self._fault, self._fault_since = fault, now
        troubles: dict[Trouble, Mapping[str, str]] = {}
        if sample.released:
            # It is as it is wanted, and says nothing of the time after.
            self._begun = now
            return Verdict(Health.RELEASED, troubles)
        self._judge_connections(fault, troubles, now)
        if sample.yielded:
            # Its own issue tells of it; damage is of two masters' making.
            return Verdict(Health.FOREIGN_MASTER, troubles)
        if fault not in (None, LinkFault.SILENT):
            return Verdict(_OF_FAULT.get(fault, Health.FAILED), troubles)
        health = (
            self._judge_silence(sample, troubles, now)
            or self._judge_garbage(sample, troubles, now)
            or self._judge_damage(sample, troubles, now)
            or self._judge_packs(sample, now)
        )
        return Verdict(health, troubles)

    # -- the connection ---------------------------------------------------------------

    def _judge_connections(
        self,
        fault: LinkFault | None,
        troubles: dict[Trouble, Mapping[str, str]],
        now: float,
    ) -> None:
        since = now - self._fault_since
        if fault in _LASTING:
            trouble, least = _LASTING[fault]
            if since >= least:
                troubles[trouble] = {}
        if self._kind is Kind.BLUETOOTH:
            # What ends a connection is told by its faults: there is no gateway.
            return
        lasts = since >= _FAULT_LASTS
        refused = fault is LinkFault.REFUSED and lasts and self._connections.ever_opened
        if refused or self._connections.closed_at_once(now):
            troubles[Trouble.GATEWAY_IN_USE] = {}
        elif (usual := self._connections.closed_regularly(now)) is not None:
            troubles[Trouble.GATEWAY_CLOSES] = {"seconds": f"{usual:.0f}"}
        if fault is LinkFault.BUS_ERRORS and lasts:
            troubles[Trouble.CAN_BIT_RATE] = {}

    # -- what is heard ----------------------------------------------------------------

    def _judge_silence(
        self, sample: Sample, troubles: dict[Trouble, Mapping[str, str]], now: float
    ) -> Health | None:
        since = max(self._begun, sample.last_heard or self._begun)
        asks = self._kind in _ASKS
        if now - since < (_SILENT if asks else _SILENT_LISTENING):
            return None
        if self._are_asleep(sample.packs):
            return Health.ASLEEP
        if now - since >= _SILENT_LONG:
            troubles[self._nothing_heard] = {}
        return Health.SILENT

    def _are_asleep(self, packs: Iterable[PackSight]) -> bool:
        """Tell whether those that are missing were about to sleep, each for itself."""
        missing = [pack for pack in packs if not pack.available]
        if not missing or not all(pack.sleepy for pack in missing):
            return False
        heard = [pack.heard for pack in missing if pack.heard is not None]
        at_once = len(heard) > 1 and max(heard) - min(heard) < _TOGETHER
        # Where nobody asks it is the master that sleeps, and all are silent with it.
        return self._kind not in _ASKS or not at_once

    def _since(self, seconds: float) -> tuple[float, Sample]:
        """Return the oldest sample that is not older; also how long ago it was taken."""
        now = self._samples[-1][0]
        at, sample = next(
            each for each in self._samples if each[0] >= now - seconds - 0.001
        )
        return now - at, sample

    def _judge_garbage(
        self, sample: Sample, troubles: dict[Trouble, Mapping[str, str]], now: float
    ) -> Health | None:
        if self._kind is Kind.BLUETOOTH:
            # There is no speed, no wire and no gateway that could be wrong.
            return None
        span, before = self._since(_GARBLED)
        heard = sample.heard - before.heard
        useless = sample.useless - before.useless
        refused = sample.refused - before.refused
        garbled = heard >= _GARBLED_BYTES and useless >= _GARBLED_SHARE * heard
        translated = refused >= _REFUSALS
        # Who sleeps says nothing, and what is left on the line is noise.
        nothing_good = sample.good == before.good and not self._are_asleep(sample.packs)
        if span < _GARBLED - 20 or not nothing_good or not (garbled or translated):
            if self._garbled_since is not None:
                # What made no sense at all is no measure of how sound the line is now.
                self._garbled_until = now
            if not nothing_good or useless < heard / 2:
                self._garbled_since = self._garbled_by = None
            return None
        if self._garbled_since is None:
            self._garbled_since = now
        if now - self._garbled_since >= _GARBLED_LONG:
            if self._garbled_by is None:
                self._garbled_by = self._name_garbage(translated=translated)
            troubles[self._garbled_by] = {}
        return Health.GARBLED

    def _name_garbage(self, *, translated: bool) -> Trouble:
        if self._kind is Kind.CAN:
            return Trouble.CAN_FOREIGN
        raw = self._raw()
        if translated or len(_TRANSLATED.findall(raw)) >= _CUT_MOST:
            return Trouble.MODBUS_GATEWAY
        match diagnose(raw):
            case Finding.LEGACY_PROTOCOL:
                return Trouble.LEGACY_PROTOCOL
            case Finding.CUT_FRAMES:
                return Trouble.CUT_FRAMES
            case _:
                return Trouble.GARBLED

    def _judge_damage(
        self, sample: Sample, troubles: dict[Trouble, Mapping[str, str]], now: float
    ) -> Health | None:
        if self._kind in (Kind.CAN, Kind.BLUETOOTH):
            # Radio repeats what is damaged; what gets lost is not mended by cables.
            return None
        span, before = self._since(min(_WINDOW, now - self._garbled_until))
        heard = sample.heard - before.heard
        share = (sample.useless - before.useless) / heard if heard else 0.0
        if span >= _DAMAGED_FOR and heard >= _DAMAGED_BYTES:
            if share >= _DAMAGED and self._damaged is None and not sample.clashing:
                cut = are_cut(self._messages())
                self._damaged = Trouble.CUT_FRAMES if cut else Trouble.DAMAGED_FRAMES
            elif share < _SOUND or sample.clashing:
                self._damaged = None
        if self._damaged is None:
            return None
        troubles[self._damaged] = {"percent": f"{100 * share:.0f}"}
        return Health.DAMAGED

    # -- who is heard -----------------------------------------------------------------

    def _judge_packs(self, sample: Sample, now: float) -> Health:
        if all(pack.available for pack in sample.packs):
            self._was_complete = True
            return Health.OK
        if not self._was_complete and now - self._begun < _STARTS:
            return Health.STARTING
        return Health.ASLEEP if self._are_asleep(sample.packs) else Health.MISSING
