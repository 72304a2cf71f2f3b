"""Tells an inverter what a bank allows, or nothing: the fail-safe machine (inverter.md 5).

Time is an argument. One thread drives it; `give` and `status` may be used by another.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from typing import Final, TypedDict, Unpack

from ..can.inverter import BY_ID, OF_INVERTERS, QUESTION
from ..can.message import CanMessage
from ..can.signals import at_most
from .languages import LENGTH, SCRIPTS, Language
from .limits import Reason, Rules, Verdict, judge
from .sight import PackSight
from .telling import Limits, Telling

LISTEN_FOR: Final = 5.0
"""Seconds of listening before the first message: a battery says everything each second."""
QUICKEST: Final = 0.02
"""Seconds between two messages at least: the quickest that a JK is (can.md 2.1)."""
SILENT_AFTER: Final = 30.0
"""Seconds of zero limits after which the inverter's own time-out is let act."""
_RISE: Final = 60.0
"""Seconds in which a current may rise from nothing to what the packs are set to."""
_VOLTS: Final = 0.05
"""V that the voltage may rise in a second."""
_LINK_LOST: Final = 5.0
"""Seconds; an inverter says once a second that it is there (can.md 2.3)."""
_NEVER: Final = float("inf")
_LOOK: Final = 0.25
"""Seconds between two looks while there is nothing to say."""
_HAIR: Final = 1e-6
_ECHOES: Final = 4
"""Contents of an id that may come back from a gateway."""


class Phase(StrEnum):
    """What the inverter hears."""

    LISTENING = auto()
    """Nothing yet: who else speaks is looked at first."""
    WAITING = auto()
    """Nothing: no pack has told enough so far."""
    TELLING = auto()
    ZERO = auto()
    """That nothing is allowed."""
    SILENT = auto()
    """Nothing any more, so that it gives up by itself."""
    STOPPED = auto()
    """Nothing, for good: another battery speaks on this bus."""
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Heard:
    """What an inverter said last under an id."""

    time: float
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How it stands; replaced as a whole, never changed."""

    phase: Phase = Phase.LISTENING
    since: float = 0.0
    trip: Reason | None = None
    detail: str = ""
    sent: Limits | None = None
    """The limits that were told last; None while nothing is."""
    ramping: bool = False
    """Whether they still rise to what is allowed."""
    verdict: Verdict | None = None
    """What was judged last, with a reason for each limit."""
    battery: int | None = None
    """The id under which another battery was heard."""
    inverter: tuple[tuple[int, Heard], ...] = ()
    """What the inverter says, by id."""
    messages: int = 0
    """How many were sent."""

    def link(self, now: float) -> bool | None:
        """Tell whether the inverter is there; None while it was never heard."""
        if not self.inverter:
            return None
        return now - max(heard.time for _, heard in self.inverter) <= _LINK_LOST


class _Changes(TypedDict, total=False):
    """What of a status is another."""

    phase: Phase
    trip: Reason | None
    detail: str
    sent: Limits | None
    ramping: bool
    verdict: Verdict | None
    battery: int | None
    inverter: tuple[tuple[int, Heard], ...]
    messages: int


class Teller:
    """Decides at each moment what is sent."""

    def __init__(self, language: Language, rules: Rules) -> None:
        """Know what to say and how much may be allowed; nothing is said yet."""
        self.language: Final = language
        self.script: Final = SCRIPTS[language]
        self.rules: Final = rules
        self.status = Status()
        self._given: tuple[PackSight, ...] | None = None
        self._judged: tuple[PackSight, ...] | None = None
        self._verdict: Verdict | None = None
        self._holds_until = -_NEVER
        self._telling: Telling | None = None
        self._sent: Limits | None = None
        """Where the limits are on their way up."""
        self._rose = 0.0
        self._tripped: float | None = None
        """Since when nothing is allowed."""
        self._heard: dict[int, Heard] = {}
        self._echoes: dict[int, list[bytes]] = {}
        self._begun: float | None = None
        self._ending = False
        self._last: list[CanMessage] | None = None
        """What is left of the last words; None while they are not to be said."""
        self._last_at = -_NEVER
        self._next = _NEVER
        self._place = 0

    # -- from another thread ----------------------------------------------------------

    def give(self, packs: Iterable[PackSight]) -> None:
        """Hand over what the packs of the bank tell now, all of them."""
        self._given = tuple(packs)

    def end(self) -> None:
        """Say as soon as possible that nothing is allowed, then nothing any more."""
        self._ending = True

    # -- driven by one thread ---------------------------------------------------------

    def begin(self, now: float) -> None:
        """Begin on a bus that was opened: listen first, then start from nothing."""
        self._begun = now
        self._last = None
        self._sent = None
        self._tripped = None
        self._heard.clear()
        self._echoes.clear()
        self._place = 0
        self._next = _NEVER if self.script.asked else now + LISTEN_FOR
        # What was found on the bus before it was lost may be gone: it is looked at anew.
        self.status = Status(since=now, messages=self.status.messages)

    def hear(self, messages: Iterable[CanMessage], now: float) -> list[CanMessage]:
        """Take note of who else speaks; return what is no echo of our own."""
        others = []
        for message in messages:
            code, data, extended = message
            if not extended and data in self._echoes.get(code, ()):
                continue
            others.append(message)
            if extended:
                continue
            if code in OF_INVERTERS:
                self._hear_inverter(code, data, now)
            elif code in BY_ID:
                self._stop(code, now)
        return others

    def due(self, now: float) -> float:
        """Return when to call `advance` next, at the latest."""
        if self._begun is None or self.status.phase in (Phase.STOPPED, Phase.ENDED):
            return _NEVER
        if self._ending:
            return max(now, self._last_at)
        if now < self._speaks_from:
            return self._speaks_from
        if self._given is not self._judged:
            return now
        return min(self._next, max(self._holds_until + _HAIR, now))

    def advance(self, now: float) -> list[CanMessage]:
        """Return what is to be sent now."""
        if self._begun is None or self.status.phase in (Phase.STOPPED, Phase.ENDED):
            return []
        if self._ending:
            return self._say_last(now)
        if now < self._speaks_from:
            return []
        self._judge(now)
        if now < self._next - _HAIR:
            return []
        message = self._message(now)
        if self.script.asked and self._place == 0:
            self._next = _NEVER
        elif message is None:
            self._next = now + _LOOK
        else:
            # In step with the cycle, unless that is lost: no two messages at once.
            self._next += self.script.spacing
            late = self._next <= now
            pause = self.script.spacing if late else QUICKEST
            self._next = max(self._next, now + pause)
        return [] if message is None else [message]

    @property
    def _speaks_from(self) -> float:
        return _NEVER if self._begun is None else self._begun + LISTEN_FOR

    def farewell(self, now: float) -> list[CanMessage]:
        """Return what to send before the line is closed: that nothing is allowed."""
        last = self._last_words(now)
        self._last = []
        self._become(now, phase=Phase.ENDED, sent=None, ramping=False)
        return last

    def _last_words(self, now: float) -> list[CanMessage]:
        """Return what is left to be said."""
        if self._last is None:
            self._last = []
            if self.status.phase in (Phase.TELLING, Phase.ZERO) and self._sent:
                self._nothing()
                self._become(now, phase=Phase.ZERO, sent=self._sent, ramping=False)
                places = range(len(self.script.frames))
                self._last = [self._encoded(place) for place in places]
        return self._last

    def _say_last(self, now: float) -> list[CanMessage]:
        """Return the next of the last words; after them comes nothing."""
        last = self._last_words(now)
        if last and now < self._last_at - _HAIR:
            return []
        self._last_at = now + QUICKEST
        said, self._last = last[:1], last[1:]
        if not self._last:
            self._become(now, phase=Phase.ENDED, sent=None, ramping=False)
        return said

    # -- deciding ---------------------------------------------------------------------

    def _judge(self, now: float) -> None:
        given = self._given
        if given is self._judged and now <= self._holds_until:
            self._pass_time(now)
            return
        self._judged = given
        verdict = judge(given or (), self.rules, now)
        self._verdict = verdict
        self._become(now, verdict=verdict)
        self._holds_until = verdict.within(now) if verdict.packs else _NEVER
        known = verdict.voltage.value is not None
        if known:
            # Else what was known stays told: no cell is at 0 V.
            self._telling = Telling(verdict, self.script)
        if verdict.trip is None and known:
            self._allow(verdict, now)
        else:
            self._forbid(verdict, now)
        self._pass_time(now)

    def _allow(self, verdict: Verdict, now: float) -> None:
        """Let go down at once what is too high; up it goes with time."""
        voltage = verdict.voltage.value
        charge, discharge = verdict.charge.value, verdict.discharge.value
        assert voltage is not None and charge is not None and discharge is not None
        sent = self._sent
        if sent is None or self._tripped is not None:
            self._rose = now
            if self.status.phase is not Phase.ZERO:
                self._at_once(now)
            # With no current allowed, the voltage may be what it has to be.
            self._sent = Limits(voltage=voltage, charge=0.0, discharge=0.0)
        else:
            self._sent = Limits(
                voltage=min(sent.voltage, voltage),
                charge=min(sent.charge, charge),
                discharge=min(sent.discharge, discharge),
            )
            self._show_fall(now)
        self._tripped = None
        self._become(now, phase=Phase.TELLING, trip=None, detail="")

    def _forbid(self, verdict: Verdict, now: float) -> None:
        trip = verdict.trip or Reason.NOT_TOLD
        if self._tripped is None:
            self._tripped = now
            if self._sent is None:
                # It has heard nothing so far: let it stay so.
                self._become(now, phase=Phase.WAITING)
            else:
                self._nothing()
                self._show_fall(now)
                self._become(now, phase=Phase.ZERO)
        elif self._sent is not None and (voltage := verdict.voltage.value) is not None:
            lowered = min(self._sent.voltage, voltage)
            self._sent = replace(self._sent, voltage=lowered)
        self._become(now, trip=trip, detail=verdict.detail, ramping=False)

    def _nothing(self) -> None:
        assert self._sent is not None
        self._sent = replace(self._sent, charge=0.0, discharge=0.0)

    def _pass_time(self, now: float) -> None:
        """Fall silent when nothing was allowed for long."""
        if self._tripped is None or self.status.phase is not Phase.ZERO:
            return
        if now - self._tripped >= SILENT_AFTER - _HAIR:
            self._become(now, phase=Phase.SILENT, sent=None)

    def _show_fall(self, now: float) -> None:
        """Tell the limits next where they are less than those that were told."""
        told, sent = self.status.sent, self._sent
        if told is not None and sent is not None and _shows(sent, told):
            self._at_once(now)

    def _at_once(self, now: float) -> None:
        """Tell the limits next, whatever was next."""
        self._place = 0
        if not self.script.asked:
            self._next = min(self._next, now)

    def _rise(self, now: float) -> None:
        """Let the limits go up by as much as the time allows."""
        verdict, sent = self._verdict, self._sent
        assert verdict is not None and sent is not None
        if self._tripped is not None:
            return
        elapsed, self._rose = now - self._rose, now
        voltage, charge, discharge = verdict.voltage, verdict.charge, verdict.discharge
        assert voltage.value is not None
        assert charge.value is not None and discharge.value is not None
        self._sent = Limits(
            voltage=min(voltage.value, sent.voltage + elapsed * _VOLTS),
            charge=min(charge.value, sent.charge + elapsed * charge.full / _RISE),
            discharge=min(
                discharge.value, sent.discharge + elapsed * discharge.full / _RISE
            ),
        )
        self._become(
            now,
            ramping=self._sent.charge < charge.value
            or self._sent.discharge < discharge.value,
        )

    # -- saying -----------------------------------------------------------------------

    def _message(self, now: float) -> CanMessage | None:
        """Return the next message of the cycle; None where nothing is to be said."""
        place = self._place
        if self.status.phase not in (Phase.TELLING, Phase.ZERO):
            self._place = 0
            return None
        if place == 0:
            self._rise(now)
            self._become(now, sent=self._sent)
        self._place = (place + 1) % len(self.script.frames)
        return self._encoded(place)

    def _encoded(self, place: int) -> CanMessage:
        assert self._telling is not None and self._sent is not None
        verdict = self._verdict
        free = verdict is not None and self.status.phase is Phase.TELLING
        said = self._telling.with_limits(
            self._sent,
            may_charge=free and verdict is not None and bool(verdict.charge.value),
            may_discharge=free
            and verdict is not None
            and bool(verdict.discharge.value),
        )
        frame = self.script.frames[place]
        data = frame.layout.encode(said, LENGTH)
        echoes = self._echoes.setdefault(frame.id, [])
        if data not in echoes:
            echoes.append(data)
            del echoes[:-_ECHOES]
        self._become(self.status.since, messages=self.status.messages + 1)
        return CanMessage(frame.id, data, extended=False)

    # -- hearing ----------------------------------------------------------------------

    def _hear_inverter(self, code: int, data: bytes, now: float) -> None:
        self._heard[code] = Heard(now, data)
        self._become(now, inverter=tuple(sorted(self._heard.items())))
        asked = code == QUESTION and self.script.asked and now >= self._speaks_from
        if asked and self._place == 0:
            self._next = min(self._next, now + self.script.spacing)

    def _stop(self, code: int, now: float) -> None:
        self._become(now, phase=Phase.STOPPED, sent=None, ramping=False, battery=code)

    def _become(self, now: float, **changes: Unpack[_Changes]) -> None:
        status = replace(self.status, **changes)
        if status.phase is not self.status.phase:
            status = replace(status, since=now)
        self.status = status


def _shows(less: Limits, told: Limits) -> bool:
    """Tell whether limits are less than those that were told, in the steps of a message."""
    return any(
        at_most(new * 10) < at_most(old * 10)
        for new, old in (
            (less.voltage, told.voltage),
            (less.charge, told.charge),
            (less.discharge, told.discharge),
        )
    )
