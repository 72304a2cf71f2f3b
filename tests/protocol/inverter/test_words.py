"""What an inverter says of itself (can.md 2.3)."""

import struct
from typing import Any

import pytest

from custom_components.jkbms.protocol.inverter.languages import Language
from custom_components.jkbms.protocol.inverter.words import said

VIEW = struct.pack("<Hhhh", 532, -105, 214, 876)
STATE = struct.pack("<HBBHH", 98, 2, 5, 0xFFFF, 552)
GX = bytes.fromhex("1234567856494300")


@pytest.mark.parametrize(
    ("language", "code", "data", "meaning"),
    [
        (
            Language.SMA,
            0x305,
            VIEW,
            {
                "voltage": 53.2,
                "current": -10.5,
                "temperature": 21.4,
                "state_of_charge": 87.6,
            },
        ),
        (
            Language.SMA,
            0x306,
            STATE,
            {
                "charging_procedure": 2,
                "operating_state": 5,
                "error": None,
                "charge_voltage": 55.2,
            },
        ),
        (Language.VICTRON, 0x307, GX, {"device": "VIC"}),
        (Language.SMA, 0x307, GX, {}),
        (Language.DEYE, 0x305, bytes(8), {}),
        (Language.SMA, 0x305, VIEW[:6], {}),
    ],
)
def test_the_words_of_an_inverter_are_understood(
    language: Language, code: int, data: bytes, meaning: dict[str, Any]
) -> None:
    assert said(language, code, data) == meaning
