"""A look at a line for the set-up: first listening only, then asking who is there."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..protocol.scan import Scan, ScanStep
from ..protocol.state import BmsState
from ..protocol.survey import LISTEN_FOR, Finding, Overheard, Survey
from ..protocol.ttl.scan import TtlScan
from .inbox import Inbox
from .link import Link, LinkError, is_modbus, line_at, timing_of

if TYPE_CHECKING:
    from .modbus_tcp import ModbusTcpLine

type Progress = Callable[[float], None]
"""Told how far the look has come, 0 to 1."""

_TICKS: Final = 16
"""How often the progress of listening is told."""
_SHARE: Final = 0.9
"""Of the progress of a scan, until the older protocol is tried."""
_MAY_BE_OLDER: Final = (Finding.SILENCE, Finding.NOISE, Finding.LEGACY_PROTOCOL)
"""What a line looks like whose packs speak only the older protocol."""


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
    """Ask every address of a line who is there; raises LinkError.

    Where nobody answers, the older protocol is tried. Whoever answers in it is among
    those found, and the finding says so.
    """
    inbox = _Inbox()
    link = await line_at(url)(inbox.receive, inbox.lose)
    try:
        now = asyncio.get_running_loop().time
        scan = Scan(timing_of(url), now())
        share = _SHARE if not is_modbus(url) else 1.0
        step: ScanStep = scan.advance(now())
        while not step.done:
            if step.afresh:
                await link.close()
                inbox = _Inbox()
                try:
                    link = await line_at(url)(inbox.receive, inbox.lose)
                except LinkError:
                    # Its place is not free yet: then the packs' silence is all that is known.
                    return Scanned(scan.finding, scan.found)
            step = await _async_step(
                scan, step, link, inbox, lambda done: on_progress(share * done)
            )
        if is_modbus(url) or scan.finding not in _MAY_BE_OLDER:
            return Scanned(scan.finding, scan.found)
        older = TtlScan(timing_of(url), now())
        step = older.advance(now())
        while not step.done:
            step = await _async_step(
                older,
                step,
                link,
                inbox,
                lambda done: on_progress(share + (1 - share) * done),
            )
        if older.found:
            return Scanned(Finding.LEGACY_PROTOCOL, older.found)
        return Scanned(scan.finding, {})
    finally:
        await link.close()


async def _async_step(
    scan: Scan | TtlScan,
    step: ScanStep,
    link: Link | ModbusTcpLine,
    inbox: _Inbox,
    on_progress: Progress,
) -> ScanStep:
    """Do what a scan wants, and return what it wants then."""
    if step.send:
        link.write(step.send)
    on_progress(step.progress)
    data = await inbox.take(step.wake)
    return scan.advance(asyncio.get_running_loop().time(), data)
