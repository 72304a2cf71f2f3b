"""One line of `4E 57` without any I/O: bytes in, bytes out, time as an argument."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final, Unpack, override

from ..bank import Bank
from ..line import LineOptions, SlaveLine
from ..pack import Outcome, Pack
from .answer import content_of, frame_of

VERSION: Final = "11.XW_S11.26___"
_BOOT: Final = 16.0
"""Seconds in which a pack that boots says 0 (ttl4e57.md 1)."""
_SHORTEST: Final = 21
_LONGEST: Final = 0x202


class Command(IntEnum):
    """What is asked for (ttl4e57.md 2)."""

    ACTIVATE = 1
    WRITE = 2
    READ = 3
    PASSWORD = 5
    READ_ALL = 6


_SWITCHES: Final = {0xAB: 0x1070, 0xAC: 0x1074, 0x9D: 0x1078}
"""The register of RS485 that each id stands for."""
_BALANCER: Final = 0x9D


class TtlLine(SlaveLine):
    """A bank of packs that answer by their terminal numbers."""

    def __init__(
        self,
        bank: Bank,
        *,
        version: str = VERSION,
        legacy_current: bool = False,
        asleep: Iterable[int] = (),
        **options: Unpack[LineOptions],
    ) -> None:
        """Connect packs; the version is what all of them say to be, in 15 characters."""
        super().__init__(bank, **options)
        self.version = version
        self.legacy_current = legacy_current
        self.asleep = set(asleep)
        """Terminals that answer nothing until they are activated."""
        self.activations = 0
        self.pairings = 0
        self.takes_balancer = int(version.partition("S")[2].partition(".")[0]) < 11
        """Whether this firmware lets the balancer be switched (ttl4e57.md 4)."""
        self._booted: dict[int, float] = {}

    def sleep(self, address: int) -> None:
        """Let a pack sleep until it is activated."""
        self.asleep.add(address)

    def boot(self, address: int, now: float) -> None:
        """Switch a pack off and on."""
        self._booted[address] = now

    @override
    def _length(self) -> int | None:
        message = self._message
        if len(message) < 4:
            return _SHORTEST
        length = int.from_bytes(message[2:4]) + 2
        known = message[:2] == b"NW" and _SHORTEST <= length <= _LONGEST
        return length if known else None

    @override
    def _is_intact(self) -> bool:
        message = self._message
        if len(message) < _SHORTEST or message[-5] != 0x68:
            return False
        return sum(message[:-4]) % 0x10000 == int.from_bytes(message[-2:])

    @override
    def _addressed(self, request: bytes) -> list[Pack]:
        terminal, activates = (
            int.from_bytes(request[4:8]),
            request[8] == Command.ACTIVATE,
        )
        return [
            pack
            for pack in self.bank
            if pack.address == terminal
            and (activates or terminal not in self.asleep)
            # Who answers is no request (ttl4e57.md 2).
            and request[10] == 0
        ]

    @override
    def _said(self, pack: Pack, request: bytes, now: float) -> bytes:
        command, content = request[8], request[11:-9]
        pack.advance(now)
        match command:
            case Command.ACTIVATE:
                self.activations += 1
                if pack.address in self.asleep:
                    self.asleep.remove(pack.address)
                    self.boot(pack.address, now)
                return frame_of(pack.address, command, b"\0")
            case Command.PASSWORD:
                self.pairings += 1
                return frame_of(pack.address, command, b"\0")
            case Command.WRITE if content:
                return self._write(pack, content, now)
            case Command.READ_ALL | Command.READ:
                pack.asked[command] = pack.asked.get(command, 0) + 1
                return frame_of(pack.address, command, self._content(pack, now))
            case _:
                return b""

    def _content(self, pack: Pack, now: float) -> bytes:
        booted = self._booted.get(pack.address, float("-inf"))
        return content_of(
            pack,
            self.version,
            booting=now - booted < _BOOT,
            legacy_current=self.legacy_current,
        )

    def _write(self, pack: Pack, content: bytes, now: float) -> bytes:
        """Take a switch; whatever else is written only enters the journal, as dangerous."""
        code, value = content[0], content[1:]
        register = _SWITCHES.get(code)
        if register is None or len(value) != 1:
            pack.note(code, value, now, Outcome.IGNORED)
            return b""
        if code == _BALANCER and not self.takes_balancer:
            pack.note(code, value, now, Outcome.IGNORED, dangerous=False)
            return b""
        refusal = pack.write(register, bytes([0, 0, 0, value[0]]), now)
        return b"" if refusal else frame_of(pack.address, Command.WRITE, content[:1])
