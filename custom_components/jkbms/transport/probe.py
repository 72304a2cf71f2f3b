"""A look at a line for the set-up: first listening only, then asking who is there."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..protocol.scan import Scan
from ..protocol.state import BmsState
from ..protocol.survey import LISTEN_FOR, Finding, Overheard, Survey
from .inbox import Inbox
from .link import Link, LinkError, line_at, timing_of

type Progress = Callable[[float], None]
"""Told how far the look has come, 0 to 1."""

_TICKS: Final = 16
"""How often the progress of listening is told."""


@dataclass(frozen=True, slots=True)
class Listened:
    """What was heard on a line without sending a byte."""

    finding: Finding
    packs: tuple[Overheard, ...]


@dataclass(frozen=True, slots=True)
class Scanned:
    """Who answered on a line."""

    finding: Finding
    found: dict[int, BmsState]


class _Inbox(Inbox[bytes]):
    """The bytes of a line, and whether it still is one."""

    async def take(self, until: float) -> bytes:
        """Return what arrives until then; raises LinkError when the line ends."""
        return b"".join(await self.chunks(until))


async def async_listen(
    url: str, on_progress: Progress, seconds: float = LISTEN_FOR
) -> Listened:
    """Listen to a line, silently; raises LinkError."""
    inbox = _Inbox()
    link = await Link.open(url, inbox.receive, inbox.lose)
    try:
        survey = Survey()
        loop = asyncio.get_running_loop()
        begin = loop.time()
        end = begin + seconds
        while (now := loop.time()) < end:
            on_progress((now - begin) / seconds)
            survey.hear(await inbox.take(min(end, now + seconds / _TICKS)))
        return Listened(survey.finish(), survey.packs)
    finally:
        await link.close()


async def async_scan(url: str, on_progress: Progress) -> Scanned:
    """Ask every address of a line who is there; raises LinkError."""
    inbox = _Inbox()
    link = await line_at(url)(inbox.receive, inbox.lose)
    try:
        loop = asyncio.get_running_loop()
        scan = Scan(timing_of(url), loop.time())
        step = scan.advance(loop.time())
        while not step.done:
            if step.afresh:
                await link.close()
                inbox = _Inbox()
                try:
                    link = await line_at(url)(inbox.receive, inbox.lose)
                except LinkError:
                    # Its place is not free yet: then the packs' silence is all that is known.
                    break
            if step.send:
                link.write(step.send)
            on_progress(step.progress)
            data = await inbox.take(step.wake)
            step = scan.advance(loop.time(), data)
        return Scanned(scan.finding, scan.found)
    finally:
        await link.close()
