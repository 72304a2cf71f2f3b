"""Turn the lines of `candump` into values: what packs and banks say on CAN."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import re
from typing import Any, Final

from custom_components.jkbms.protocol.can.bank import in_units
from custom_components.jkbms.protocol.can.conditions import word
from custom_components.jkbms.protocol.can.dialect import Dialect, of_bank
from custom_components.jkbms.protocol.can.frame import Decoded, Frame
from custom_components.jkbms.protocol.can.inverter import FRAMES
from custom_components.jkbms.protocol.can.machine import BANK_ADDRESS, owner_of
from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.can.station import Values
from custom_components.jkbms.protocol.fields import ALARM_BITMASK, CURRENT

type Line = dict[str, Any]

_HEAD: Final = r"^\s*(?:\([^)]*\)\s+)?"
_LOGGED: Final = re.compile(
    _HEAD
    + r"(?:\S+\s+)?([0-9A-F]{8}|[0-9A-F]{3})#(R[0-9A-F]?|(?:[0-9A-F]{2})*)(?:\s.*)?$",
    re.IGNORECASE,
)
"""`(1436509052.249713) can0 2F4#1301D71133006400`, as `candump -l` writes it."""
_SHOWN: Final = re.compile(
    _HEAD
    + r"\S+\s+(?:[RT]X [-B] [-E]\s+)?([0-9A-F]{8}|[0-9A-F]{3})\s+\[(\d+)\]\s*(.*)$",
    re.IGNORECASE,
)
"""`can0  2F4   [8]  13 01 D7 11 33 00 64 00`, as `candump` shows it."""
_BYTES: Final = re.compile(r"(?:[0-9A-F]{2}(?:\s+|$))*", re.IGNORECASE)
_ERROR_FLAG: Final = 0x2000_0000
_MAX_EXTENDED: Final = 0x1FFF_FFFF
_ENOUGH: Final = 30
"""Messages of one address in 11 bits alone, 3 s of them, that make it version 1."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that holds no data frame."""

    readable: bool


def parse(line: str) -> CanMessage | Skipped:
    """Return the message of a line; remote and error frames are skipped."""
    if found := _LOGGED.match(line):
        code, content = found.groups()
        if content[:1].upper() == "R":
            return Skipped(readable=True)
        return _message(code, content)
    if found := _SHOWN.match(line):
        code, length, rest = found.groups()
        if rest.startswith("remote"):
            return Skipped(readable=True)
        content = "".join(rest.split()[: int(length)])
        if _BYTES.match(rest) and len(content) == 2 * int(length):
            return _message(code, content)
    return Skipped(readable=False)


def _message(code: str, content: str) -> CanMessage | Skipped:
    number = int(code, 16)
    if number & _ERROR_FLAG:
        return Skipped(readable=True)
    if number > _MAX_EXTENDED:
        return Skipped(readable=False)
    try:
        return CanMessage(number, bytes.fromhex(content), len(code) > 3)
    except ValueError:
        return Skipped(readable=False)


class Describer:
    """Puts messages into words; it has to know all of them to tell the languages."""

    def __init__(self, messages: Iterable[CanMessage]) -> None:
        """Tell who speaks which language."""
        heard: defaultdict[int, Counter[bool]] = defaultdict(Counter)
        bank: set[int] = set()
        for message in messages:
            found = owner_of(message)
            if found is None:
                continue
            _, address = found
            if address == BANK_ADDRESS:
                bank.add(message.id)
            else:
                heard[address][message.extended] += 1
        self._dialects = {a: _version(counts) for a, counts in heard.items()}
        self._bank = of_bank(bank)
        self._said: Values = {}
        """What the bank said so far."""

    def line(self, message: CanMessage) -> Line:
        """Return what to print for a message."""
        found = owner_of(message)
        code = f"{message.id:0{8 if message.extended else 3}X}"
        if found is None or not found[0].fits(len(message.data)):
            return {"type": "discarded", "id": code, "bytes": len(message.data)}
        frame, address = found
        if address == BANK_ADDRESS:
            return self._bank_line(message, frame, code)
        dialect = self._dialects[address]
        decoded = frame.decoded(message.data, v1=dialect is Dialect.NATIVE_V1)
        values = dict(decoded.values)
        if dialect is None and CURRENT.key in values:
            # Its sign depends on the version.
            values[CURRENT.key] = None
        return {
            "type": "can",
            "address": address,
            "layout": dialect,
            "id": code,
            "message": frame.name,
            "values": values | _alarms(decoded),
        }

    def _bank_line(self, message: CanMessage, frame: Frame, code: str) -> Line:
        frames = {} if self._bank is None else FRAMES[self._bank]
        frame = frames.get(message.id, frame)
        if not frame.fits(len(message.data)):
            return {"type": "discarded", "id": code, "bytes": len(message.data)}
        decoded = frame.decoded(message.data)
        self._said |= decoded.values
        told = in_units(self._bank, self._said)
        values = {key: told[key] for key in decoded.values if key in told}
        return {
            "type": "can",
            "layout": self._bank,
            "id": code,
            "message": frame.name,
            "values": values | _alarms(decoded),
        }


def _version(counts: Counter[bool]) -> Dialect | None:
    if counts[True]:
        return Dialect.NATIVE_V2
    return Dialect.NATIVE_V1 if counts[False] >= _ENOUGH else None


def _alarms(decoded: Decoded) -> Line:
    told: Line = {}
    if decoded.alarms:
        told["alarms"] = [alarm.key for alarm in decoded.alarms]
        told[ALARM_BITMASK.key] = word(decoded.alarms)
    if decoded.warnings:
        told["warnings"] = [warning.key for warning in decoded.warnings]
    return told


@dataclass(frozen=True, slots=True)
class Dump:
    """The lines of a capture."""

    messages: tuple[CanMessage, ...]
    skipped: int
    """Remote and error frames."""
    unreadable: int
    """Lines that are none of candump."""

    @classmethod
    def read(cls, text: str) -> Dump:
        """Return what the text holds; empty lines count as nothing."""
        lines = (line.strip() for line in text.splitlines())
        parsed = [parse(line) for line in lines if line and not line.startswith("#")]
        skipped = [each for each in parsed if isinstance(each, Skipped)]
        return cls(
            tuple(each for each in parsed if isinstance(each, CanMessage)),
            sum(each.readable for each in skipped),
            sum(not each.readable for each in skipped),
        )

    def lines(self) -> Iterator[Line]:
        """Yield what the messages say, in their order."""
        describer = Describer(self.messages)
        for message in self.messages:
            yield describer.line(message)

    def summary(self, kinds: Counter[str], addresses: set[int]) -> str:
        """Say in one line what there was."""
        counted = ", ".join(f"{n} {kind}" for kind, n in kinds.items()) or "nothing"
        whose = ", ".join(str(address) for address in sorted(addresses)) or "none"
        return (
            f"{len(self.messages)} messages: {counted}; {self.skipped} remote or error "
            f"frames, {self.unreadable} unreadable lines skipped; addresses: {whose}"
        )
