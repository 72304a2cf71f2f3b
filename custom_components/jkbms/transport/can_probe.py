"""A look at a CAN bus for the set-up: listening, at each bit rate where there is a choice."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from ..protocol.can.dialect import Dialect
from ..protocol.can.message import CanMessage
from ..protocol.can.survey import LISTEN_FOR, CanFinding, CanSurvey, HeardPack
from .can_counts import CanCounts
from .can_link import CanLink
from .can_port import BITRATES, CanPort
from .inbox import Inbox
from .link import LinkError, LinkFault

type Progress = Callable[[float], None]
"""Told how far the look has come, 0 to 1."""

_TICK: Final = 0.5
"""Seconds; how often the progress is told."""
_TRY_FOR: Final = 2.5
"""Seconds for a first message at a bit rate: packs and banks say something each second."""
_HEAR_FOR: Final = 1.0
_REPEATED: Final = 150
"""Messages a second under one id. The most frequent one of a JK comes 50 times, a frame
that nobody acknowledges as often as the bus carries it (can.md 1.2, 3.1)."""


@dataclass(frozen=True, slots=True)
class CanHeard:
    """What was heard on a bus."""

    finding: CanFinding
    dialect: Dialect | None
    packs: tuple[HeardPack, ...]
    clashing: tuple[int, ...]
    """Addresses at which two packs seem to speak."""
    bitrate: int | None
    """At which something was heard; None where the adapter has one already, or nothing was."""
    error_frames: int
    unacknowledged: bool = False
    """Whether frames were repeated without end, because nobody takes part in the bus."""

    @property
    def only_errors(self) -> bool:
        """Whether the bus is alive and cannot be read: most likely at another bit rate."""
        return self.finding is CanFinding.SILENCE and self.error_frames > 0


async def async_listen_can(
    port: CanPort, on_progress: Progress, seconds: float = LISTEN_FOR
) -> CanHeard:
    """Listen to a bus, and find its bit rate where the port leaves it open; raises LinkError.

    Nothing is sent but what the port says.
    """
    look = _Look(on_progress, seconds)
    if port.bitrate is None and port.traits.bitrate:
        ways = list(_ways(port))
        look.planned += _TRY_FOR * len(ways)
        for way in ways:
            if await look.at(way, _TRY_FOR, _HEAR_FOR):
                break
        else:
            return look.heard(port)
        look.planned = look.spent + seconds
        alone = look.repeated and not port.listen_only
        port = replace(port, bitrate=way.bitrate) if alone else way
    await look.at(port, seconds)
    return look.heard(port)


def _ways(port: CanPort) -> Iterable[CanPort]:
    """Yield how to listen at each bit rate, without disturbing first.

    At a wrong rate an adapter that takes part destroys what others say to each other.
    Who is heard without taking part has others; only a BMS that is alone is not, and
    has nobody who could be disturbed (can.md 3.1).
    """
    if port.traits.silent:
        for rate in BITRATES:
            yield replace(port, bitrate=rate, listen_only=True, acknowledge=False)
    if not port.listen_only:
        for rate in BITRATES:
            yield replace(port, bitrate=rate)


class _Look:
    """What was heard last, and how long everything took."""

    def __init__(self, on_progress: Progress, seconds: float) -> None:
        self.planned = seconds
        self.spent = 0.0
        self._told = 0.0
        self._on_progress = on_progress
        self._survey = CanSurvey()
        self._counts = CanCounts()
        self._loop = asyncio.get_running_loop()
        self._ids: Counter[int] = Counter()
        self._heard_for = 0.0

    @property
    def repeated(self) -> bool:
        """Whether one message came more often than anybody says it who is acknowledged."""
        most = max(self._ids.values(), default=0)
        return most > _REPEATED * max(self._heard_for, _TICK)

    async def at(
        self, port: CanPort, patience: float, enough: float | None = None
    ) -> bool:
        """Listen until patience ends, or for long enough after a first message; tell whether one came.

        Nothing but errors is no failure: it is what a wrong bit rate sounds like.
        """
        self._survey = CanSurvey(hears_extended=not port.traits.standard_only)
        self._ids.clear()
        begin = self._loop.time()
        self._tell(0.0)
        try:
            await self._listen(port, patience, enough)
        except LinkError as error:
            if error.fault is not LinkFault.BUS_ERRORS:
                raise
        self._heard_for = self._loop.time() - begin
        self.spent += self._heard_for if self._ids else patience
        return bool(self._ids)

    async def _listen(
        self, port: CanPort, patience: float, enough: float | None
    ) -> None:
        inbox: Inbox[list[CanMessage]] = Inbox()
        link = await CanLink.open(port, inbox.receive, inbox.lose, self._counts)
        begin = self._loop.time()
        end = begin + patience
        try:
            while (now := self._loop.time()) < end:
                self._tell(now - begin)
                for messages in await inbox.chunks(min(end, now + _TICK)):
                    if enough is not None and not self._ids:
                        end = self._loop.time() + enough
                    self._survey.hear(messages)
                    self._ids.update(message.id for message in messages)
        finally:
            await link.close()

    def heard(self, port: CanPort) -> CanHeard:
        finding = self._survey.finish()
        survey = self._survey
        return CanHeard(
            finding,
            survey.dialect,
            survey.packs,
            survey.clashing,
            port.bitrate,
            self._counts.errors,
            self.repeated,
        )

    def _tell(self, seconds: float) -> None:
        share = min(1.0, (self.spent + seconds) / self.planned)
        self._told = max(self._told, share)
        self._on_progress(self._told)
