"""What is fed first: bytes that real devices sent, and files that are right."""

from collections.abc import Iterator
import json
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[3]
_CAPTURES: Final = ROOT / "tests" / "captures"
_FRAME: Final = 300
_LONGEST: Final = 4096
"""Bytes; what is longer is cut in parts."""
_WHOLE: Final = b"\xff"
"""Before bytes that come in the largest pieces."""
_FILES: Final = {
    "rs485": ("rs485_bus", "frames", "modbus"),
    "listener": ("rs485_bus",),
    "survey": ("rs485_bus", "modbus", "ttl4e57"),
    "master": ("frames", "rs485_bus"),
    "registers": ("modbus",),
    "ble": ("ble",),
    "bluetooth": ("ble", "frames"),
    "ttl": ("ttl4e57",),
    "older": ("ttl4e57",),
}
_TTL_HEAD: Final = 11
_TTL_TAIL: Final = 9


def _items(name: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]]
    items = json.loads((_CAPTURES / f"{name}.json").read_text(encoding="utf-8"))
    return items


def seeds_of(target: str) -> Iterator[bytes]:
    """Yield what a target is fed first."""
    for name in _FILES.get(target, ()):
        for item in _items(name):
            data = bytes.fromhex(item["hex"])
            for at in range(0, len(data), _LONGEST):
                yield _WHOLE + data[at : at + _LONGEST]
    match target:
        case "block":
            for item in _items("frames"):
                frame = bytes.fromhex(item["hex"])[:_FRAME]
                yield bytes([{1: 0, 2: 1}.get(frame[4], 2)]) + frame[6:-1]
        case "ttl_content":
            for item in _items("ttl4e57"):
                yield bytes.fromhex(item["hex"])[_TTL_HEAD:-_TTL_TAIL]
        case "can":
            for item in _items("can"):
                yield b"".join(
                    bytes([0, number, len(data) // 2])
                    + bytes.fromhex(data).ljust(8, b"\0")[:8]
                    for number, (_, data) in enumerate(item["hex"][:200])
                )
        case "records":
            record = bytes.fromhex("08000003510228E803E803F7010000")[:13]
            yield b"\x0c" + record * 8
        case "stored":
            yield json.dumps(_STORED).encode()
        case "recording":
            line = "(1767225600.123456) in 55AAEB9002"
            yield line.encode()
            yield json.dumps({"data": {"recorded": [line]}}).encode()
        case _:
            pass


_STORED: Final = {
    "last_full": "2026-11-01T12:00:00+00:00",
    "drawn": 12.5,
    "spreads": {"top_spread": {"seconds": 60.0, "values": [0.01]}},
    "leads": {"cells": [1, 2]},
    "today": "2026-11-21",
    "balanced": 60.0,
    "wires": {"months": [[50.0, 51.0]]},
    "settings": {"cell_ovp": 3.65},
    "learnt": {"version": "15.41", "limits": {}},
    "keys": ["current"],
    "cells": [1, 2, 3],
    "probes": ["temperature_sensor_1"],
    "firmware": "15.41",
    "layout": "JK02_32S",
}
