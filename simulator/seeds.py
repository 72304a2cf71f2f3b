"""The captured frames a simulated pack starts from."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
import json
from typing import Any, Final

from .registers import Block

PIN: Final = "83726154"
"""What stands where a real pack keeps its Bluetooth PIN: nobody else may show it."""

PASSWORD: Final = "59273648"
"""What stands where a real pack keeps its settings password: nobody else may show it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedFrame:
    """One captured 300-byte frame and where it came from."""

    capture: str
    source: str
    data: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Trio:
    """Settings, live and device frame of one kind of pack."""

    id: str
    model: str
    firmware: str
    frames: dict[Block, SeedFrame]


def _frame(entry: dict[str, str]) -> SeedFrame:
    return SeedFrame(
        capture=entry["capture"],
        source=entry["source"],
        data=bytes.fromhex(entry["hex"]),
    )


@cache
def _seeds() -> Any:
    text = files(__package__).joinpath("seeds.json").read_text(encoding="utf-8")
    return json.loads(text)


@cache
def trios() -> tuple[Trio, ...]:
    """All kinds of packs, in the order the default bank uses them."""
    return tuple(
        Trio(
            id=entry["id"],
            model=entry["model"],
            firmware=entry["firmware"],
            frames={block: _frame(entry[block.name.lower()]) for block in Block},
        )
        for entry in _seeds()["trios"]
    )


@cache
def compact_log() -> SeedFrame:
    """A captured type 05 frame, the answer to the compact-log trigger."""
    return _frame(_seeds()["log"])
