"""Simulated buses in processes of their own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
import json
from pathlib import Path
import sys
from typing import Any, Final
from urllib.parse import urlsplit

from simulator.checks import with_crc

from .processes import Child, Ended, running

_ANSWER: Final = 9
"""Bytes of an answer to FC03 with 32 bits in it."""
_TRIES: Final = 5
_PATIENCE: Final = 1.0
"""Seconds for an answer: somebody else may talk just then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bus:
    """Simulated packs: where they are reached, and the address of each serial number."""

    url: str
    control: str | None = None
    """A second line to the same packs, if there is one."""
    packs: Mapping[str, int]

    async def read(self, address: int, register: int) -> int | None:
        """Ask a pack itself for a value of 32 bits, with nobody of ours in between (rs485.md 2.3).

        None where it does not answer. One of the lines must be a port that takes another client.
        """
        request = with_crc(bytes([address, 3, *register.to_bytes(2), 0, 2]))
        parts = urlsplit(self.control or self.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            for _ in range(_TRIES):
                writer.write(request)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PATIENCE):
                        return _value(await _answer(reader, bytes([address, 3, 4])))
        finally:
            writer.close()
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated(Bus):
    """Simulated packs with the process that they are in."""

    child: Child


async def _answer(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """Return the answer with this head; others ask on the line too."""
    heard = b""
    while True:
        heard += await reader.readexactly(1)
        start = heard.find(head)
        answer = heard[start : start + _ANSWER]
        if start >= 0 and len(answer) == _ANSWER:
            if answer == with_crc(answer[:-2]):
                return answer
            heard = heard[start + 1 :]


def _value(answer: bytes) -> int:
    return int.from_bytes(answer[3:7])


@asynccontextmanager
async def simulated(*options: str, log: Path) -> AsyncIterator[Simulated]:
    """Run what scripts/simulate runs, with these options."""
    command = (sys.executable, "-m", "simulator", *options)
    async with running("The simulator", *command, log=log, speaks=True) as child:
        assert child.process.stdout is not None
        line = await child.process.stdout.readline()
        if not line:
            await child.process.wait()
            raise Ended(child)
        said = json.loads(line)
        yield Simulated(
            child=child,
            url=said["url"],
            control=said.get("control"),
            packs=addresses(said),
        )


def addresses(said: Mapping[str, Any]) -> dict[str, int]:
    """Return the address of each serial number that a simulator announces."""
    return {pack["serial"]: pack["address"] for pack in said["packs"]}
