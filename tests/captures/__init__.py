"""What real devices sent, read from the JSON files beside this module (README.md says what they hold)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
import json
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Capture:
    """One recording, with only what its source states about it."""

    id: str
    kind: str
    layout: str
    model: str | None
    firmware: str | None
    source: str
    data: bytes
    checksum_ok: bool
    """Whether the sums in `data` were right when it was recorded."""
    expected: Mapping[str, Any]
    """What the source states; the unit is in the key."""
    disputed: Mapping[str, Any]
    """What the source states and the bytes contradict: nothing to assert."""
    masked: bool
    """Whether somebody's serial numbers and pass codes were replaced."""
    notes: str | None
    answer: bytes | None
    """What came back, where `data` is a Modbus request and the answer is known."""
    answer_checksum_ok: bool
    request: bytes | None
    """What was asked, where `data` is a Modbus answer and the request is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldenFrame:
    """A 300-byte frame from a public project's tests or logs."""

    id: str
    type: int
    source: str
    data: bytes
    ack: bytes | None
    """The FC16 acknowledgement that followed the frame, where the source shows it."""
    redacted: bool


def _hex(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def _capture(item: Mapping[str, Any]) -> Capture:
    """Turn one object of a capture file into its typed form."""
    return Capture(
        id=item["id"],
        kind=item["kind"],
        layout=item["layout"],
        model=item["model"],
        firmware=item["firmware"],
        source=item["source"],
        data=bytes.fromhex(item["hex"]),
        checksum_ok=item["checksum_ok"],
        expected=item["expected"],
        disputed=item.get("disputed", {}),
        masked=item.get("masked", False),
        notes=item["notes"],
        answer=_hex(item.get("response_hex")),
        answer_checksum_ok=item.get("response_checksum_ok", True),
        request=_hex(item.get("request_hex")),
    )


@cache
def _read(name: str) -> tuple[Capture, ...]:
    return tuple(
        _capture(item)
        for item in json.loads((FOLDER / name).read_text(encoding="utf-8"))
    )


def frames() -> tuple[Capture, ...]:
    """Return the single frames; some are followed by their ACK or padding."""
    return _read("frames.json")


def bus_streams() -> tuple[Capture, ...]:
    """Return the raw recordings of a line."""
    return _read("rs485_bus.json")


def modbus_exchanges() -> tuple[Capture, ...]:
    """Return the Modbus requests and answers."""
    return _read("modbus.json")


def ttl_answers() -> tuple[Capture, ...]:
    """Return the messages of the protocol `4E 57`, one of them a request, one cut short."""
    return _read("ttl4e57.json")


@cache
def golden_frames() -> tuple[GoldenFrame, ...]:
    """Return the frames of public projects."""
    items: dict[str, dict[str, Any]] = json.loads(
        (FOLDER / "golden_frames.json").read_text(encoding="utf-8")
    )
    return tuple(
        GoldenFrame(
            id=name,
            type=item["type"],
            source=item["source"],
            data=bytes.fromhex(item["frame_hex"]),
            ack=_hex(item["trailing_ack_hex"]),
            redacted=item["redacted"],
        )
        for name, item in items.items()
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class CanCapture:
    """CAN messages of one source, with only what it states about them."""

    id: str
    kind: str
    source: str
    messages: tuple[tuple[int, bytes, bool], ...]
    """Id, content, and whether the id has 29 bits."""
    expected: Mapping[str, Any]


@cache
def can_messages() -> tuple[CanCapture, ...]:
    """Return what was said on CAN buses, and the examples of the vendor's documents."""
    return tuple(
        CanCapture(
            id=item["id"],
            kind=item["kind"],
            source=item["source"],
            messages=tuple(
                (int(code, 16), bytes.fromhex(data), int(code, 16) > 0x7FF)
                for code, data in item["hex"]
            ),
            expected=item["expected"],
        )
        for item in json.loads((FOLDER / "can.json").read_text(encoding="utf-8"))
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class BleCapture:
    """What a Bluetooth connection carried, with only what its source states about it."""

    id: str
    source: str
    data: bytes
    chunks: tuple[int, ...]
    """The sizes of the notifications; none where the bytes are an order."""
    orders: tuple[bytes, ...]
    """What the phone sent meanwhile."""
    expected: Mapping[str, Any]

    @property
    def notifications(self) -> list[bytes]:
        """The bytes as they came."""
        ends = [sum(self.chunks[: n + 1]) for n in range(len(self.chunks))]
        return [
            self.data[end - size : end]
            for end, size in zip(ends, self.chunks, strict=True)
        ]


@cache
def ble_streams() -> tuple[BleCapture, ...]:
    """Return a recorded stream with its packet boundaries, and recorded orders."""
    return tuple(
        BleCapture(
            id=item["id"],
            source=item["source"],
            data=bytes.fromhex(item["hex"]),
            chunks=tuple(item.get("chunks", ())),
            orders=tuple(map(bytes.fromhex, item.get("writes_hex", ()))),
            expected=item["expected"],
        )
        for item in json.loads((FOLDER / "ble.json").read_text(encoding="utf-8"))
    )
