"""Watches a bus: judges it every few seconds, tells its owner, and counts by the minute."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Set as AbstractSet
from datetime import datetime, timedelta
import time
from typing import TYPE_CHECKING, Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util import dt as dt_util

from .issues import (
    clear_trouble,
    clear_write_ignored,
    raise_trouble,
    raise_write_ignored,
    tell_missing,
    tell_refused,
)
from .protocol.asked_station import AskedStation
from .protocol.ble.machine import BleMaster
from .protocol.ble.station import BleStation
from .protocol.can.machine import CanListener
from .protocol.datum import Block
from .protocol.frames import trigger
from .protocol.line import Traffic
from .protocol.listener import Listener
from .protocol.masking import Message
from .protocol.master import Master
from .protocol.omissions import Omissions
from .protocol.plausibility import Implausible
from .protocol.station import Station
from .protocol.ttl.machine import TtlMaster
from .protocol.ttl.station import TtlStation
from .protocol.write_job import Outcome
from .transport.health import (
    Doctor,
    Health,
    Kind,
    PackSight,
    Sample,
    Trouble,
    is_sleepy,
)
from .transport.link import is_modbus
from .transport.tape import ByteTape, CanTape

if TYPE_CHECKING:
    from .coordinator import BusCoordinator
    from .pack import Pack

_JUDGE_EVERY: Final = timedelta(seconds=10)
_COUNT_EVERY: Final = 60.0
"""Counters rise all the time; nobody wants each step of them in the database."""
_BITS: Final = 10
_BAUD_RATE: Final = 115_200
_REQUEST: Final = len(trigger(1, Block.LIVE).encode())
_IGNORED_OFTEN: Final = 2
"""Changes of one pack in a row that it acknowledged and did not make."""

type Count = int | float | datetime | None


class BusHealth:
    """What there is to tell of a bus besides the values of its packs."""

    def __init__(self, hass: HomeAssistant, bus: BusCoordinator) -> None:
        """Prepare to watch a bus; `start` begins."""
        self._hass = hass
        self._bus = bus
        now = hass.loop.time()
        tape = bus.tape
        self.kind = _kind(bus)
        self._converted = is_modbus(bus.url)
        self._doctor = Doctor(
            self.kind,
            tape.connections,
            self._raw,
            self._shown,
            now,
            converted=self._converted,
        )
        self.health = Health.STARTING
        self.troubles: Mapping[Trouble, Mapping[str, str]] = {}
        """What Repairs tells of."""
        self._listening: list[CALLBACK_TYPE] = []
        self._ignored: dict[str, int] = {}
        """Changes in a row that a pack ignored."""
        self._omissions: defaultdict[str, Omissions] = defaultdict(Omissions)
        self._told: dict[str, tuple[AbstractSet[Block], AbstractSet[Block]]] = {}
        """What Repairs tells of each pack: what is not believed, and what never comes."""
        self._counted = now
        self._carried = 0
        """Bytes on the line when they were counted last."""
        self.counts: Mapping[str, Count] = {}
        """What is counted on the bus, a minute old at most."""
        self.pack_counts: Mapping[str, Mapping[str, Count]] = {}
        """The same for each pack."""

    def start(self) -> None:
        """Watch until the entry is unloaded."""
        self._count(self._hass.loop.time())
        self.judge()
        self._bus.config_entry.async_on_unload(
            async_track_time_interval(
                self._hass, self._look, _JUDGE_EVERY, cancel_on_shutdown=True
            )
        )

    @callback
    def async_listen(self, call: CALLBACK_TYPE) -> Callable[[], None]:
        """Call whenever the health or the counts may have changed."""
        self._listening.append(call)
        return lambda: self._listening.remove(call)

    @callback
    def written(self, pack: Pack, outcome: Outcome) -> None:
        """Take note of how a change of a setting has ended."""
        if outcome is Outcome.IGNORED:
            times = self._ignored[pack.subentry_id] = (
                self._ignored.get(pack.subentry_id, 0) + 1
            )
            if times >= _IGNORED_OFTEN:
                raise_write_ignored(self._hass, self._bus.config_entry, pack)
        elif outcome is Outcome.PROVEN:
            self._ignored.pop(pack.subentry_id, None)
            clear_write_ignored(self._hass, pack.subentry_id)

    @callback
    def judge(self) -> None:
        """Judge now; whoever listens is told."""
        now = self._hass.loop.time()
        verdict = self._doctor.judge(self._sample(), now)
        self.health = verdict.health
        entry = self._bus.config_entry
        for gone in self.troubles.keys() - verdict.troubles.keys():
            clear_trouble(self._hass, entry, gone)
        for trouble, figures in verdict.troubles.items():
            # The figures of when it was found stay: an issue is not a display.
            if trouble not in self.troubles:
                raise_trouble(self._hass, entry, trouble, figures)
        self.troubles = verdict.troubles
        for pack in self._bus.packs.values():
            self._judge_what_it_tells(pack, now)
        for call in tuple(self._listening):
            call()

    def _judge_what_it_tells(self, pack: Pack, now: float) -> None:
        refused: dict[Block, Implausible] = {}
        asked: AskedStation | TtlStation | BleStation | None = None
        # Where two packs answer at once that is the trouble, and Repairs says so.
        if not pack.station.clashing:
            for station in _stations(pack):
                refused |= station.state.refused(now)
            writer = self._bus.writer(pack)
            if writer is not None and not writer.master.yielded:
                asked = writer.station
        # What comes and is not believed is told with its reason.
        lasting = self._omissions[pack.subentry_id].lasting(asked, now)
        missing = lasting - refused.keys()
        told = (refused.keys(), missing)
        if told != self._told.get(pack.subentry_id, (set(), set())):
            self._told[pack.subentry_id] = told
            tell_refused(self._hass, self._bus.config_entry, pack, refused)
            tell_missing(self._hass, self._bus.config_entry, pack, missing)

    @callback
    def _look(self, _: datetime) -> None:
        now = self._hass.loop.time()
        if now - self._counted >= _COUNT_EVERY - 1:
            self._count(now)
        self.judge()

    # -- what a judgement rests on ------------------------------------------------------

    def _sample(self) -> Sample:
        bus = self._bus
        tape, machine = bus.tape, bus.machine
        status = bus.session.status
        packs = tuple(
            PackSight(p.available, p.station.heard, is_sleepy(p.settings()))
            for p in bus.packs.values()
        )
        good = sum(s.counts.ok for s in machine.stations.values())
        if isinstance(machine, CanListener):
            assert isinstance(tape, CanTape)
            useless = machine.foreign + machine.malformed
            if bus.inverter is None:
                useless += machine.of_inverter
            return Sample(
                status=status,
                heard=tape.messages,
                last_heard=tape.last_heard,
                useless=useless,
                good=good,
                packs=packs,
            )
        heard, refused, yielded = tape.heard_bytes, 0, False
        last_heard = tape.last_heard
        if isinstance(machine, Master):
            traffic = machine.line.traffic
            heard -= traffic[Traffic.ECHOES] * _REQUEST
            refused, yielded = traffic[Traffic.REFUSALS], machine.yielded
            if self._converted:
                # What the gateway says of absent packs was not said by a pack.
                stations = machine.stations.values()
                refused = sum(s.counts.refused for s in stations)
                if not any(s.counts.refused and not s.misses for s in stations):
                    answers = [s.heard for s in stations if s.heard is not None]
                    last_heard = max(answers, default=None)
        elif isinstance(machine, TtlMaster):
            yielded = machine.yielded
        elif isinstance(machine, BleMaster):
            # The text of its module is not the pack's.
            last_heard = machine.framed
        return Sample(
            status=status,
            yielded=yielded,
            released=bus.port is not None and bus.port.released,
            heard=heard,
            last_heard=last_heard,
            useless=_discarded(machine),
            refused=refused,
            good=good,
            clashing=any(s.clashing for s in machine.stations.values()),
            packs=packs,
        )

    def _raw(self) -> bytes:
        tape = self._bus.tape
        # What garbles a line of the older protocol cannot be that it is spoken there.
        older = isinstance(self._bus.machine, TtlMaster | BleMaster)
        return tape.raw() if isinstance(tape, ByteTape) and not older else b""

    def _shown(self) -> Iterable[Message]:
        tape = self._bus.tape
        if not isinstance(tape, ByteTape):
            return ()
        masker = tape.masker()
        told = [m for piece in tape.pieces() for m in masker.feed(piece)]
        return (*told, *masker.flush())

    # -- counters ---------------------------------------------------------------------

    def _count(self, now: float) -> None:
        """Count anew; who listens is told with the next judgement."""
        bus = self._bus
        machine, tape = bus.machine, bus.tape
        asked = [s for s in machine.stations.values() if s.available and s.cycle]
        opened = tape.connections.last_opened
        counts: dict[str, Count] = {
            "cycle_time": round(max((s.cycle for s in asked), default=0.0), 1) or None,
            "packs_found": sum(s.available for s in machine.stations.values()),
            "reconnects": bus.session.reconnects,
            "last_reconnect": (
                _wall(opened, now) if opened and bus.session.reconnects else None
            ),
        }
        if not isinstance(machine, CanListener):
            counts["bytes_discarded"] = _discarded(machine)
            carried = tape.heard_bytes + tape.sent_bytes
            if (span := now - self._counted) > 0:
                busy = _BITS * (carried - self._carried) / _BAUD_RATE
                counts["bus_load"] = round(100 * busy / span, 1)
            self._carried = carried
        if isinstance(machine, Listener):
            counts["frames_unattributed"] = machine.unattributed
        self._counted = now
        self.counts = counts
        self.pack_counts = {
            pack_id: _pack_counts(pack, now) for pack_id, pack in bus.packs.items()
        }


def _wall(at: float, now: float) -> datetime:
    """Return the date and time of a time of the loop."""
    return dt_util.utc_from_timestamp(time.time() - (now - at)).replace(microsecond=0)


def _discarded(machine: Master | TtlMaster | BleMaster | Listener) -> int:
    if isinstance(machine, Listener):
        return machine.discarded
    if isinstance(machine, TtlMaster | BleMaster):
        return machine.framer.discarded
    return machine.line.traffic[Traffic.DISCARDED]


def _stations(pack: Pack) -> list[Station]:
    """Return where a pack is heard: on its bus, and on its control line."""
    return [s for s in (pack.station, pack.control) if s is not None]


def _pack_counts(pack: Pack, now: float) -> dict[str, Count]:
    stations = _stations(pack)
    heard = [s.heard for s in stations if s.heard is not None]
    asked = [
        s for s in stations if isinstance(s, AskedStation | TtlStation | BleStation)
    ]
    worst = [s.patience.worst for s in asked if s.patience.worst is not None]
    return {
        "frames_ok": sum(s.counts.ok for s in stations),
        "frames_bad": sum(s.counts.damaged for s in stations),
        "frames_implausible": sum(s.counts.implausible for s in stations),
        "timeouts": sum(s.counts.timeouts for s in stations),
        "last_good_frame": _wall(max(heard), now) if heard else None,
        "response_time": round(1000 * max(worst)) if worst else None,
    }


def _kind(bus: BusCoordinator) -> Kind:
    match bus.machine:
        case Master() | TtlMaster():
            return Kind.ASKING
        case CanListener():
            return Kind.CAN
        case BleMaster():
            return Kind.BLUETOOTH
        case _:
            return Kind.LISTENING
