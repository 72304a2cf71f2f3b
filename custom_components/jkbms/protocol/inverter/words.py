"""What an inverter says of itself to a battery (can.md 2.3)."""

from collections.abc import Mapping
from typing import Final

from ..can.inverter import KEEP_ALIVE
from ..can.signals import Layout, Number, Part, Words
from ..codecs import Value
from .languages import Language

STATE: Final = 0x306
NAME: Final = 0x307

_UNSIGNED: Final = 0xFFFF
_SIGNED: Final = -0x8000
"""What stands for "not told"."""


def _unsigned(key: str, offset: int, divisor: int = 1) -> Number:
    return Number(key, offset, "<H", divisor=divisor, unknown=_UNSIGNED)


def _signed(key: str, offset: int, divisor: int) -> Number:
    return Number(key, offset, "<h", divisor=divisor, unknown=_SIGNED)


def _layout(*parts: Part) -> Layout:
    return Layout(parts)


_SMA: Final = {
    KEEP_ALIVE: _layout(
        _unsigned("voltage", 0, 10),
        _signed("current", 2, 10),
        _signed("temperature", 4, 10),
        _signed("state_of_charge", 6, 10),
    ),
    STATE: _layout(
        Number("charging_procedure", 2, "<B"),
        Number("operating_state", 3, "<B"),
        _unsigned("error", 4),
        _unsigned("charge_voltage", 6, 10),
    ),
}
_NAME: Final = {NAME: _layout(Words("device", 4, 4))}
"""As of a Victron GX; in the same place SMA has relays."""
_BY_LANGUAGE: Final[Mapping[Language, Mapping[int, Layout]]] = {
    Language.SMA: _SMA,
    Language.VICTRON: _NAME,
}
_LENGTH: Final = 8


def said(language: Language, code: int, data: bytes) -> dict[str, Value]:
    """Return what a message of an inverter means, as far as that is known."""
    layout = _BY_LANGUAGE.get(language, {}).get(code)
    if layout is None or len(data) != _LENGTH:
        return {}
    return dict(layout.decode(data).values)
