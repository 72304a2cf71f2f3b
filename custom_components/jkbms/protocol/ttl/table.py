"""The ids of an answer to "read all": how long their values are, and what they mean."""

from dataclasses import dataclass
from typing import Any, Final, override

from ..codecs import (
    FLAG8,
    U8,
    U16,
    U16_HUNDREDTH,
    U16_MILLI,
    U32,
    Codec,
    Raw,
    Scaled,
    Text,
    enum8,
    text,
)
from ..datum import Datum
from ..fields import (
    BALANCER,
    BY_KEY,
    CAPACITY_REMAINING,
    CAPACITY_SETTING,
    CELL_COUNT,
    CELL_VOLTAGES,
    CHARGE_MOS,
    CHARGING_CYCLES,
    CHARGING_SWITCH,
    CURRENT,
    CYCLE_CAPACITY,
    DEVICE_ADDRESS,
    DISCHARGE_MOS,
    DISCHARGING_SWITCH,
    HARDWARE_VERSION,
    MODEL,
    MOS_TEMPERATURE,
    PROBES,
    SOFTWARE_VERSION,
    STATE_OF_CHARGE,
    TOTAL_RUNTIME,
    TOTAL_VOLTAGE,
    ttl,
)

CELLS: Final = 0x79
"""The one id whose value tells its own length."""
_MINUTE: Final = 60
_ZERO: Final = 100
"""Above it a temperature counts downwards (ttl4e57.md 5.1)."""
_COLDEST: Final = 160
"""-60 °C; what reads less is none that a sensor can tell."""


@dataclass(frozen=True, slots=True)
class Degrees(Codec[float]):
    """°C up to 100; above it 100 less the number (ttl4e57.md 5.1)."""

    @override
    def decode(self, raw: Raw) -> float | None:
        value = int(raw)
        if value > _COLDEST:
            return None
        return value if value <= _ZERO else _ZERO - value


@dataclass(frozen=True, slots=True)
class Minutes(Codec[float]):
    """A time told in minutes, in seconds."""

    @override
    def decode(self, raw: Raw) -> float:
        return int(raw) * _MINUTE


@dataclass(frozen=True, slots=True)
class Secret(Codec[str]):
    """Bytes that are never decoded."""


@dataclass(frozen=True, slots=True)
class YearMonth(Codec[str]):
    """Four digits, YYMM, as 20YY-MM."""

    @override
    def decode(self, raw: Raw) -> str | None:
        digits = raw if isinstance(raw, bytes) else b""
        if not digits.isdigit() or not 1 <= int(digits[2:]) <= 12:
            return None
        return f"20{digits[:2].decode()}-{digits[2:].decode()}"


@dataclass(frozen=True, slots=True)
class Item:
    """What follows an id."""

    codec: Codec[Any]
    datum: Datum[Any] | None = None
    """None for what is known to be there and tells nothing."""


_DEGREES: Final = Degrees("H")
_SIGNED: Final = Scaled("h")


def _setting(key: str, codec: Codec[Any]) -> Item:
    return Item(codec, BY_KEY[key])


ITEMS: Final[dict[int, Item]] = {
    0x80: Item(_DEGREES, MOS_TEMPERATURE),
    0x81: Item(_DEGREES, PROBES[0]),
    0x82: Item(_DEGREES, PROBES[1]),
    0x83: Item(U16_HUNDREDTH, TOTAL_VOLTAGE),
    0x84: Item(U16, CURRENT),
    0x85: Item(U8, STATE_OF_CHARGE),
    0x86: Item(U8, ttl.PROBE_COUNT),
    0x87: Item(U16, CHARGING_CYCLES),
    0x89: Item(U32, CYCLE_CAPACITY),
    0x8A: Item(U16, ttl.CELLS_COUNTED),
    0x8B: Item(U16, ttl.ALARM_WORD),
    0x8C: Item(U16, ttl.STATUS_WORD),
    0x8E: Item(U16_HUNDREDTH, ttl.BATTERY_OVP),
    0x8F: Item(U16_HUNDREDTH, ttl.BATTERY_UVP),
    0x90: _setting("cell_ovp", U16_MILLI),
    0x91: _setting("cell_ovpr", U16_MILLI),
    0x92: Item(U16, ttl.CELL_OVP_DELAY),
    0x93: _setting("cell_uvp", U16_MILLI),
    0x94: _setting("cell_uvpr", U16_MILLI),
    0x95: Item(U16, ttl.CELL_UVP_DELAY),
    0x96: Item(U16_MILLI, ttl.CELL_DIFFERENCE_PROTECTION),
    0x97: _setting("max_discharge_current", U16),
    0x98: _setting("discharge_ocp_delay", U16),
    0x99: _setting("max_charge_current", U16),
    0x9A: _setting("charge_ocp_delay", U16),
    0x9B: _setting("balance_starting_voltage", U16_MILLI),
    0x9C: _setting("balance_trigger_voltage", U16_MILLI),
    0x9D: Item(FLAG8, BALANCER),
    0x9E: _setting("mos_otp", U16),
    0x9F: _setting("mos_otp_recovery", U16),
    0xA0: Item(U16, ttl.BOX_OTP),
    0xA1: Item(U16, ttl.BOX_OTP_RECOVERY),
    0xA2: Item(U16, ttl.TEMPERATURE_DIFFERENCE_PROTECTION),
    0xA3: _setting("charge_otp", U16),
    0xA4: _setting("discharge_otp", U16),
    0xA5: _setting("charge_utp", _SIGNED),
    0xA6: _setting("charge_utp_recovery", _SIGNED),
    0xA7: _setting("discharge_utp", _SIGNED),
    0xA8: _setting("discharge_utp_recovery", _SIGNED),
    0xA9: Item(U8, CELL_COUNT),
    0xAA: Item(U32, CAPACITY_SETTING),
    0xAB: Item(FLAG8, CHARGING_SWITCH),
    0xAC: Item(FLAG8, DISCHARGING_SWITCH),
    0xAD: Item(U16, ttl.CURRENT_CALIBRATION),
    0xAE: Item(U8, DEVICE_ADDRESS),
    0xAF: Item(enum8("lfp", "li_ion", "lto"), BY_KEY["battery_type"]),
    0xB0: Item(U16, ttl.SLEEP_WAIT_TIME),
    0xB1: Item(U8, ttl.LOW_SOC_THRESHOLD),
    0xB2: Item(Secret("10s")),
    0xB3: _setting("special_charger", FLAG8),
    0xB4: Item(text(8), BY_KEY["user_data"]),
    0xB5: Item(YearMonth("4s"), ttl.MANUFACTURING_MONTH),
    0xB6: Item(Minutes("I"), TOTAL_RUNTIME),
    0xB7: Item(Text("15s"), SOFTWARE_VERSION),
    0xB8: Item(FLAG8, ttl.CALIBRATING),
    0xB9: Item(Scaled("I", unknown=0), ttl.ACTUAL_CAPACITY),
    0xBA: Item(text(24), ttl.MANUFACTURER_ID),
    # Only written, as far as is known; their lengths keep the walk going all the same.
    0xBB: Item(U8),
    0xBC: Item(U8),
    0xBD: Item(U8),
    0xBE: Item(U16),
    0xBF: Item(U16),
    0xC0: Item(U8, ttl.PROTOCOL_VERSION),
}
"""By id (ttl4e57.md 4)."""
TELLS: Final = frozenset(
    {
        *(item.datum.key for item in ITEMS.values() if item.datum is not None),
        *(cell.key for cell in CELL_VOLTAGES),
        CAPACITY_REMAINING.key,
        CHARGE_MOS.key,
        DISCHARGE_MOS.key,
        HARDWARE_VERSION.key,
        MODEL.key,
    }
)
"""Keys that an answer can tell, or lets be known without the blocks of other packs."""
SECRETS: Final = frozenset(
    code for code, item in ITEMS.items() if isinstance(item.codec, Secret)
)
PRIVATE: Final = (
    frozenset(
        code
        for code, item in ITEMS.items()
        if item.datum is not None and item.datum.private
    )
    | SECRETS
)
"""Ids whose values tell who the owner is."""
