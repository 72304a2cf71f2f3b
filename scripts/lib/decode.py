"""Turn captured bytes of a line into values: one JSON object a line, in the order of the line."""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import date
from functools import partial
import json
import math
import os
from pathlib import Path
import sys
from typing import Any, Final

from custom_components.jkbms.protocol.alarms import active
from custom_components.jkbms.protocol.attribution import Attributed, Attributor, Heard
from custom_components.jkbms.protocol.datum import BLOCK_OF_TYPE, Block, Firmware
from custom_components.jkbms.protocol.derived import derive
from custom_components.jkbms.protocol.fields import (
    ALARM_BITMASK,
    FIELDS_OF,
    SOFTWARE_VERSION,
)
from custom_components.jkbms.protocol.frames import (
    LOG_TRIGGERS,
    READ,
    WRITE,
    Ack,
    Discarded,
    ExceptionCode,
    ExceptionReply,
    Frame,
    ReadReply,
    ReadRequest,
    WriteRequest,
)
from custom_components.jkbms.protocol.layout import (
    FRAME_HEAD,
    Layout,
    blanked,
    decode_block,
    decode_registers,
    recognise,
)
from custom_components.jkbms.protocol.logbook import (
    COMPACT,
    log_count,
    log_events,
    log_records,
)
from custom_components.jkbms.protocol.masking import Piece
from custom_components.jkbms.protocol.plausibility import implausible
from custom_components.jkbms.protocol.recording import (
    is_recording,
    of_diagnostics,
    pieces,
)
from custom_components.jkbms.protocol.stream import Framer
from scripts.lib import ble, ttl
from scripts.lib.candump import Dump

type Line = dict[str, Any]
type Summary = Callable[[Counter[str], set[int]], str]

PROTOCOLS: Final = ("rs485", "ble", "can", "ttl")


class UsageError(Exception):
    """The input is not what the options say."""


def describe(data: bytes) -> Iterator[Line]:
    """Yield what the bytes contain."""
    framer, attributor, describer = Framer(), Attributor(), Describer()
    items = [*framer.feed(data), *framer.flush()]
    for heard in (*attributor.feed(items), *attributor.flush()):
        yield _shown(describer.line(heard))


def describe_recording(pieces: Iterable[Piece]) -> Iterator[Line]:
    """Yield what a recording contains, with the seconds since 1970 when that was known."""
    framer, attributor, describer = Framer(), Attributor(), Describer()
    time = 0.0
    for piece in pieces:
        time = piece.time
        for heard in attributor.feed(framer.feed(piece.data)):
            asks = isinstance(heard, WriteRequest | ReadRequest)
            sent = {"sent": True} if asks and piece.sent else {}
            yield {"time": round(time, 6)} | _shown(describer.line(heard)) | sent
    rest = (*attributor.feed(framer.flush()), *attributor.flush())
    for heard in rest:
        yield {"time": round(time, 6)} | _shown(describer.line(heard))


def _shown(line: Line) -> Line:
    return {
        name: plain(value)
        for name, value in line.items()
        if value is not None or name == "layout"
    }


class Describer:
    """Puts what was heard into words; learns firmware and reads on the way."""

    def __init__(self) -> None:
        """Start knowing nothing of the packs on the line."""
        self._firmware: dict[int, Firmware] = {}
        self._read: ReadRequest | None = None

    def line(self, heard: Heard) -> Line:
        """Return what to print; a key that is None does not apply."""
        match heard:
            case Attributed(frame=frame, address=address):
                return self._frame(frame, address)
            case WriteRequest(address=address, register=register):
                return {
                    "type": "request",
                    "address": address,
                    "function": WRITE,
                    "register": register,
                    "quantity": heard.words,
                } | self._asked(heard)
            case Ack(address=address, register=register, words=words):
                return {
                    "type": "ack",
                    "address": address,
                    "function": WRITE,
                    "register": register,
                    "quantity": words,
                }
            case ReadRequest(address=address, register=register, words=words):
                self._read = heard
                return {
                    "type": "read",
                    "address": address,
                    "function": READ,
                    "register": register,
                    "quantity": words,
                }
            case ReadReply(address=address, data=data):
                asked = self._read.register if self._read else None
                return {
                    "type": "answer",
                    "address": address,
                    "function": READ,
                    "register": asked,
                } | self._content(address, asked, data)
            case ExceptionReply(address=address, function=function, code=code):
                return {
                    "type": "exception",
                    "address": address,
                    "function": function,
                    "code": code,
                    "meaning": ExceptionCode(code).name.lower(),
                }
            case Discarded(count=count):
                return {"type": "discarded", "bytes": count}
            case Frame():
                return self._frame(heard, None)

    def _frame(self, frame: Frame, address: int | None) -> Line:
        block = BLOCK_OF_TYPE.get(frame.type)
        if block is None:
            return {"type": "log", "address": address, "values": _log(frame)}
        layout = recognise(frame.data)
        values = self._values(frame, block, layout, address)
        reason = implausible(block, values) if values else None
        return {
            "type": block.label,
            "address": address,
            "layout": layout,
            "values": values,
            "implausible": reason,
        }

    def _values(
        self, frame: Frame, block: Block, layout: Layout | None, address: int | None
    ) -> Line:
        if layout is None:
            return {}
        known = None if address is None else self._firmware.get(address)
        decoded = decode_block(
            frame.data, block, layout, firmware=known, offset=FRAME_HEAD
        )
        order = [field.key for field in FIELDS_OF[block] if field.key in decoded]
        values: Line = {key: decoded[key] for key in order}
        match block:
            case Block.LIVE:
                values |= derive(values)
                if (word := values.get(ALARM_BITMASK.key)) is not None:
                    values["alarms"] = [alarm.key for alarm in active(int(word))]
            case Block.DEVICE:
                firmware = Firmware.parse(values[SOFTWARE_VERSION.key])
                if address is not None and firmware is not None:
                    self._firmware[address] = firmware
            case Block.SETTINGS:
                pass
        return values

    def _asked(self, request: WriteRequest) -> Line:
        """Tell which frame a trigger asks for, or what a write sets."""
        if request.block is not None:
            return {"block": request.block.label}
        if request.register in LOG_TRIGGERS:
            return {"block": "log"}
        return self._content(request.address, request.register, request.data)

    def _content(self, address: int, register: int | None, data: bytes) -> Line:
        if register is None:
            return {}
        firmware = self._firmware.get(address)
        return {
            "data": blanked(register, data).hex(),
            "values": decode_registers(register, data, firmware=firmware),
        }


def _log(frame: Frame) -> Line:
    if frame.type == COMPACT:
        events = [asdict(event) for event in log_events(frame.data)]
        return {"count": log_count(frame.data), "events": events}
    return {"records": [asdict(record) for record in log_records(frame.data)]}


def plain(value: object) -> object:
    """Return what JSON can say: dates as ISO text, numbers without binary noise."""
    match value:
        case float():
            return round(value, 6) + 0.0 if math.isfinite(value) else None
        case date():
            return value.isoformat()
        case Mapping():
            return {key: plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case _:
            return value


def _unhex(path: str, content: bytes) -> bytes:
    """Return the bytes that text stands for; raises UsageError."""
    try:
        return bytes.fromhex("".join(content.decode("utf-8-sig").split()))
    except ValueError:
        raise UsageError(
            f"{_name(path)} is not text of hexadecimal digits in pairs (--raw reads binary)"
        ) from None


def read_dump(path: str) -> Dump:
    """Return the lines of candump in a file or the standard input; raises UsageError."""
    try:
        dump = Dump.read(_content(path).decode("utf-8-sig"))
    except ValueError:
        raise UsageError(f"{_name(path)} is no text") from None
    if dump.unreadable and not dump.messages and not dump.skipped:
        raise UsageError(f"{_name(path)} has no lines of candump")
    return dump


def _content(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _name(path: str) -> str:
    return "the standard input" if path == "-" else path


def summary(size: int, lines: Counter[str], addresses: set[int]) -> str:
    """Say in one line what there was."""
    counted = ", ".join(f"{count} {kind}" for kind, count in lines.items()) or "nothing"
    whose = ", ".join(str(address) for address in sorted(addresses)) or "none"
    return f"{size} bytes: {counted}; addresses: {whose}"


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(
        prog="scripts/decode",
        description="Print what captured bytes contain, one JSON object a line.",
        suggest_on_error=True,
    )
    options.add_argument(
        "--protocol", choices=PROTOCOLS, default="rs485", help="what was on the wire"
    )
    options.add_argument(
        "--raw", action="store_true", help="the input is binary, not hexadecimal text"
    )
    options.add_argument(
        "file", metavar="FILE", nargs="?", default="-", help="- is the standard input"
    )
    return options


def _read_rs485(path: str, *, raw: bool) -> tuple[Iterator[Line], Summary]:
    content = _content(path)
    if not raw and (recorded := _read_recorded(path, content)) is not None:
        return recorded
    data = content if raw else _unhex(path, content)
    return describe(data), partial(summary, len(data))


def _recorded_lines(content: bytes) -> dict[str, list[str]] | None:
    """Return what a recording, or the diagnostics of a bus, hold; None for another file."""
    try:
        text = content.decode("utf-8-sig")
    except ValueError:
        return None
    return {"": text.splitlines()} if is_recording(text) else of_diagnostics(text)


def _pieces_of(
    path: str, lines: Mapping[str, list[str]]
) -> dict[str, tuple[Piece, ...]]:
    try:
        return {name: tuple(pieces(told)) for name, told in lines.items()}
    except ValueError as error:
        raise UsageError(f"{_name(path)}: {error}") from None


def _recorded_pieces(path: str, content: bytes) -> dict[str, tuple[Piece, ...]] | None:
    lines = _recorded_lines(content)
    return None if lines is None else _pieces_of(path, lines)


def _read_recorded(path: str, content: bytes) -> tuple[Iterator[Line], Summary] | None:
    """Return what a recording, or the diagnostics of a bus, tell; None for another file."""
    lines = _recorded_lines(content)
    if lines is None:
        return None
    if not is_recording("\n".join(lines[""])) and any(lines[""]):
        dump = Dump.read("\n".join(lines[""]))
        return map(_shown, dump.lines()), dump.summary
    read = _pieces_of(path, lines)
    size = sum(len(piece.data) for line in read.values() for piece in line)
    return _all_lines(read), partial(summary, size)


def _all_lines(read: Mapping[str, tuple[Piece, ...]]) -> Iterator[Line]:
    """Yield what each line tells, the bus first; those of control lines say so."""
    for name, line in read.items():
        of = {"line": name} if name else {}
        yield from (told | of for told in describe_recording(line))


def _read_can(path: str, *, raw: bool) -> tuple[Iterator[Line], Summary]:
    if raw:
        raise UsageError("--raw does not go with CAN: candump writes text")
    dump = read_dump(path)
    lines = ({k: plain(v) for k, v in line.items()} for line in dump.lines())
    return lines, dump.summary


def _read_pieces(path: str, *, raw: bool) -> tuple[list[Piece], Summary]:
    """Return what a recording holds, or bytes that came at once."""
    content = _content(path)
    if not raw and (recorded := _recorded_pieces(path, content)) is not None:
        told = [piece for line in recorded.values() for piece in line]
        size = sum(len(piece.data) for piece in told)
    else:
        data = content if raw else _unhex(path, content)
        told, size = [Piece(0.0, False, data)], len(data)
    return told, partial(summary, size)


def _read_ttl(path: str, *, raw: bool) -> tuple[Iterator[Line], Summary]:
    told, sum_up = _read_pieces(path, raw=raw)
    return map(_shown, ttl.describe(told)), sum_up


def _read_ble(path: str, *, raw: bool) -> tuple[Iterator[Line], Summary]:
    told, sum_up = _read_pieces(path, raw=raw)
    return map(_shown, ble.describe(told, Describer().line)), sum_up


_READERS: Final = {
    "rs485": _read_rs485,
    "ble": _read_ble,
    "can": _read_can,
    "ttl": _read_ttl,
}


def main(arguments: list[str] | None = None) -> int:
    """Decode what the arguments name."""
    options = parser()
    chosen = options.parse_args(arguments)
    read = _READERS[chosen.protocol]
    try:
        told, sum_up = read(chosen.file, raw=chosen.raw)
    except UsageError as error:
        options.error(str(error))
    kinds: Counter[str] = Counter()
    addresses: set[int] = set()
    for line in told:
        kinds[line["type"]] += 1
        addresses |= {line["address"]} if "address" in line else set()
        print(json.dumps(line, ensure_ascii=False, allow_nan=False))
    print(sum_up(kinds, addresses), file=sys.stderr)
    return 0


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough; Python would complain once more when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)
