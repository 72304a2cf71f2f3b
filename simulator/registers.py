"""The vendor's register map, transcribed a second time on purpose (rs485.md 2.5 to 2.7, 7).

An address is the block's base plus a byte offset.  The integration has its own
table; where the two disagree, one of them misread the map.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

BLOCK_LENGTH: Final = 294
"""Readable bytes of a block: the frame's 293 and the byte that fills its last register.

Units have been seen to serve up to 0x12E bytes (rs485.md 2.3); a master that
passes here passes there.
"""

ACTIONS: Final = range(0x1600, 0x1700)


class Block(IntEnum):
    """A block, numbered as the type byte of its frame."""

    SETTINGS = 1
    LIVE = 2
    DEVICE = 3

    @property
    def base(self) -> int:
        """Address of the block's first register."""
        return 0x0E00 + 0x200 * self

    @classmethod
    def of(cls, address: int) -> Block | None:
        """The block an address lies in."""
        for block in cls:
            if block.base <= address < block.base + BLOCK_LENGTH:
                return block
        return None


class Kind(StrEnum):
    """How a value is coded, as a struct character; `s` is text or raw bytes."""

    U8 = "B"
    I8 = "b"
    U16 = "H"
    I16 = "h"
    U32 = "I"
    I32 = "i"
    F32 = "f"
    RAW = "s"

    @property
    def size(self) -> int:
        """Bytes of one value; raw values say their own length."""
        return _SIZES[self]


_SIZES: Final = {
    Kind.U8: 1,
    Kind.I8: 1,
    Kind.U16: 2,
    Kind.I16: 2,
    Kind.U32: 4,
    Kind.I32: 4,
    Kind.F32: 4,
    Kind.RAW: 1,
}

type Version = tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One value of the map: raw limits, and the firmware that first knew it."""

    name: str
    address: int
    kind: Kind
    size: int
    writable: bool = False
    minimum: int | None = None
    maximum: int | None = None
    since: Version = (0, 0)

    @property
    def block(self) -> Block:
        """The block the value belongs to."""
        return Block(self.address - 0x0E00 >> 9)

    @property
    def offset(self) -> int:
        """Byte offset in the block."""
        return self.address & 0x1FF


@dataclass(frozen=True, kw_only=True, slots=True)
class Register:
    """What one write covers: a documented start address and its length in bytes."""

    address: int
    items: tuple[Item, ...]

    @property
    def length(self) -> int:
        """Bytes that a write to this register must carry."""
        return sum(item.size for item in self.items)

    @property
    def writable(self) -> bool:
        """Whether any part of it may be written."""
        return any(item.writable for item in self.items)


def _settings() -> Iterator[Item]:
    def row(
        name: str,
        address: int,
        minimum: int,
        maximum: int,
        kind: Kind = Kind.U32,
        since: Version = (0, 0),
    ) -> Item:
        return Item(
            name=name,
            address=address,
            kind=kind,
            size=kind.size,
            writable=True,
            minimum=minimum,
            maximum=maximum,
            since=since,
        )

    yield row("smart_sleep_voltage", 0x1000, 1200, 4400)
    yield row("cell_uvp", 0x1004, 1200, 4400)
    yield row("cell_uvpr", 0x1008, 1200, 4400)
    yield row("cell_ovp", 0x100C, 1200, 4400)
    yield row("cell_ovpr", 0x1010, 1200, 4400)
    yield row("balance_trigger", 0x1014, 3, 1000)
    yield row("soc_100_voltage", 0x1018, 1200, 4400)
    yield row("soc_0_voltage", 0x101C, 1200, 4400)
    yield row("rcv", 0x1020, 1200, 4400, since=(14, 17))
    yield row("rfv", 0x1024, 1200, 4400, since=(14, 17))
    yield row("power_off_voltage", 0x1028, 1200, 4400)
    yield row("charge_current_limit", 0x102C, 1000, 600_000)
    yield row("charge_ocp_delay", 0x1030, 2, 600)
    yield row("charge_ocp_release", 0x1034, 2, 600)
    yield row("discharge_current_limit", 0x1038, 1000, 1_200_000)
    yield row("discharge_ocp_delay", 0x103C, 2, 600)
    yield row("discharge_ocp_release", 0x1040, 2, 600)
    yield row("scp_release", 0x1044, 2, 600)
    yield row("balance_current_limit", 0x1048, 300, 15_000)
    yield row("charge_otp", 0x104C, 300, 800, Kind.I32)
    yield row("charge_otpr", 0x1050, 300, 800, Kind.I32)
    yield row("discharge_otp", 0x1054, 300, 800, Kind.I32)
    yield row("discharge_otpr", 0x1058, 300, 800, Kind.I32)
    yield row("charge_utp", 0x105C, -450, 200, Kind.I32)
    yield row("charge_utpr", 0x1060, -450, 200, Kind.I32)
    yield row("mos_otp", 0x1064, 500, 1100, Kind.I32)
    yield row("mos_otpr", 0x1068, 500, 1100, Kind.I32)
    yield row("cell_count", 0x106C, 2, 32)
    yield row("charge_switch", 0x1070, 0, 1)
    yield row("discharge_switch", 0x1074, 0, 1)
    yield row("balancer_switch", 0x1078, 0, 1)
    yield row("nominal_capacity", 0x107C, 2000, 20_000_000)
    yield row("scp_delay", 0x1080, 0, 1_000_000)
    yield row("balance_start_voltage", 0x1084, 1200, 4250)
    for cell in range(32):
        yield row(f"connection_resistance_{cell + 1}", 0x1088 + 4 * cell, 0, 2_000_000)
    yield row("device_address", 0x1108, 0, 0xFFFF)
    yield row("precharge_time", 0x110C, 0, 300)
    yield _read_only("current_range", 0x1110, Kind.U32)
    yield row("function_word", 0x1114, 0, 0xFFFF, Kind.U16)
    yield row("heating_start", 0x1116, -40, 100, Kind.I8)
    yield row("heating_stop", 0x1117, -40, 100, Kind.I8)
    yield row("smart_sleep_hours", 0x1118, 1, 100, Kind.U8)
    yield _read_only("field_mask_0", 0x1119, Kind.U8)
    yield _read_only("field_mask", 0x111A, Kind.RAW, 8)
    yield row("discharge_utp", 0x1122, -40, 100, Kind.I8, since=(19, 0))
    yield row("discharge_utpr", 0x1123, -40, 100, Kind.I8, since=(19, 0))


def _read_only(name: str, address: int, kind: Kind, size: int | None = None) -> Item:
    return Item(name=name, address=address, kind=kind, size=size or kind.size)


def _live() -> Iterator[Item]:
    for cell in range(32):
        yield _read_only(f"cell_voltage_{cell + 1}", 0x1200 + 2 * cell, Kind.U16)
        yield _read_only(f"wire_resistance_{cell + 1}", 0x124A + 2 * cell, Kind.U16)
    for name, address, kind in _LIVE:
        yield _read_only(name, address, kind)


_LIVE: Final = (
    ("cell_presence", 0x1240, Kind.U32),
    ("average_cell_voltage", 0x1244, Kind.U16),
    ("cell_voltage_difference", 0x1246, Kind.U16),
    ("highest_cell", 0x1248, Kind.U8),
    ("lowest_cell", 0x1249, Kind.U8),
    ("mos_temperature", 0x128A, Kind.I16),
    ("wire_alarms", 0x128C, Kind.U32),
    ("pack_voltage", 0x1290, Kind.U32),
    ("power", 0x1294, Kind.U32),
    ("current", 0x1298, Kind.I32),
    ("temperature_1", 0x129C, Kind.I16),
    ("temperature_2", 0x129E, Kind.I16),
    ("alarms", 0x12A0, Kind.U32),
    ("balance_current", 0x12A4, Kind.I16),
    ("balancer_state", 0x12A6, Kind.U8),
    ("soc", 0x12A7, Kind.U8),
    ("remaining_capacity", 0x12A8, Kind.I32),
    ("full_capacity", 0x12AC, Kind.U32),
    ("cycles", 0x12B0, Kind.U32),
    ("cycled_capacity", 0x12B4, Kind.U32),
    ("soh", 0x12B8, Kind.U8),
    ("precharge", 0x12B9, Kind.U8),
    ("user_alarms", 0x12BA, Kind.U16),
    ("run_time", 0x12BC, Kind.U32),
    ("charge_mos", 0x12C0, Kind.U8),
    ("discharge_mos", 0x12C1, Kind.U8),
    ("user_alarms_2", 0x12C2, Kind.U16),
    ("discharge_ocp_left", 0x12C4, Kind.U16),
    ("discharge_scp_left", 0x12C6, Kind.U16),
    ("charge_ocp_left", 0x12C8, Kind.U16),
    ("charge_scp_left", 0x12CA, Kind.U16),
    ("cell_uvp_left", 0x12CC, Kind.U16),
    ("cell_ovp_left", 0x12CE, Kind.U16),
    ("sensor_flags", 0x12D0, Kind.U8),
    ("heater", 0x12D1, Kind.U8),
    ("emergency_left", 0x12D4, Kind.U16),
    ("discharge_current_correction", 0x12D6, Kind.U16),
    ("charge_sense_voltage", 0x12D8, Kind.U16),
    ("discharge_sense_voltage", 0x12DA, Kind.U16),
    ("pack_voltage_correction", 0x12DC, Kind.F32),
    ("charge_pwm", 0x12E0, Kind.U16),
    ("discharge_pwm", 0x12E2, Kind.U16),
    ("pack_voltage_coarse", 0x12E4, Kind.U16),
    ("heater_current", 0x12E6, Kind.I16),
    ("relay", 0x12E8, Kind.U8),
    ("acc", 0x12E9, Kind.U8),
    ("special_charger", 0x12EA, Kind.U8),
    ("startup_flag", 0x12EB, Kind.U8),
    ("vol_c_minus", 0x12EC, Kind.U8),
    ("mcu_id", 0x12ED, Kind.U8),
    ("charger_plugged", 0x12EF, Kind.U8),
    ("ticks", 0x12F0, Kind.U32),
    ("pvd_time", 0x12F4, Kind.U32),
    ("temperature_3", 0x12F8, Kind.I16),
    ("temperature_4", 0x12FA, Kind.I16),
    ("temperature_5", 0x12FC, Kind.I16),
    ("charge_current_correction", 0x12FE, Kind.U16),
    ("rtc", 0x1300, Kind.U32),
    ("log_count", 0x1304, Kind.U32),
    ("sleep_countdown", 0x1308, Kind.U32),
    ("pcl", 0x130C, Kind.U8),
    ("battery_type", 0x130D, Kind.U8),
    ("phase_time", 0x1310, Kind.U16),
    ("charge_phase", 0x1312, Kind.U8),
    ("output_alarms", 0x1313, Kind.U8),
)


def _device() -> Iterator[Item]:
    for name, address, kind, size in _DEVICE_READ_ONLY:
        yield _read_only(name, address, kind, size)
    for name, address, kind, minimum, maximum in _DEVICE_WRITABLE:
        yield Item(
            name=name,
            address=address,
            kind=kind,
            size=kind.size,
            writable=True,
            minimum=minimum,
            maximum=maximum,
        )


_DEVICE_READ_ONLY: Final = (
    ("model", 0x1400, Kind.RAW, 15),
    ("max_cells", 0x140F, Kind.U8, 1),
    ("hardware_version", 0x1410, Kind.RAW, 8),
    ("software_version", 0x1418, Kind.RAW, 8),
    ("total_run_time", 0x1420, Kind.U32, 4),
    ("power_on_count", 0x1424, Kind.U32, 4),
    ("device_name", 0x1428, Kind.RAW, 16),
    ("pin", 0x1438, Kind.RAW, 16),
    ("first_on_date", 0x1448, Kind.RAW, 8),
    ("serial_number", 0x1450, Kind.RAW, 16),
    ("user_data", 0x1460, Kind.RAW, 16),
    ("settings_password", 0x1470, Kind.RAW, 16),
    ("user_data_2", 0x1480, Kind.RAW, 16),
    ("command_flags", 0x1490, Kind.RAW, 32),
    ("agency", 0x14B0, Kind.U16, 2),
    ("uart1_mask", 0x14B4, Kind.RAW, 4),
    ("hardware_options", 0x14B8, Kind.RAW, 12),
    ("can_mask", 0x14C4, Kind.RAW, 4),
    ("uart2_protocol", 0x14D4, Kind.U8, 1),
    ("uart2_mask", 0x14D5, Kind.RAW, 4),
    ("uart_library", 0x14E7, Kind.U8, 1),
    ("can_library", 0x1506, Kind.U8, 1),
    # Named by JK's own program, never seen written over RS485 (rs485.md 7).
    ("emergency_minutes", 0x1507, Kind.U8, 1),
    ("uart3_protocol", 0x1508, Kind.U8, 1),
    ("uart3_mask", 0x1509, Kind.RAW, 7),
    ("rebulk_soc", 0x1510, Kind.U8, 1),
    ("uart4_protocol", 0x1511, Kind.U8, 1),
    ("uart4_mask", 0x1512, Kind.RAW, 4),
    ("protocol_version", 0x1524, Kind.U8, 1),
)

_DEVICE_WRITABLE: Final = (
    ("uart1_protocol", 0x14B2, Kind.U8, 0, 31),
    ("can_protocol", 0x14B3, Kind.U8, 0, 31),
    ("buzzer_source", 0x14E4, Kind.U8, 0, 14),
    ("dry1_source", 0x14E5, Kind.U8, 0, 14),
    ("dry2_source", 0x14E6, Kind.U8, 0, 14),
    ("buzzer_trigger", 0x14E8, Kind.I32, None, None),
    ("buzzer_release", 0x14EC, Kind.I32, None, None),
    ("dry1_trigger", 0x14F0, Kind.I32, None, None),
    ("dry1_release", 0x14F4, Kind.I32, None, None),
    ("dry2_trigger", 0x14F8, Kind.I32, None, None),
    ("dry2_release", 0x14FC, Kind.I32, None, None),
    ("log_period", 0x1500, Kind.I32, 5, 864_000),
    # A write with RCV time 0 was refused (rs485.md 2.9, example 19).
    ("rcv_time", 0x1504, Kind.U8, 1, 250),
    ("rfv_time", 0x1505, Kind.U8, 0, 250),
)

ITEMS: Final = {item.name: item for item in (*_settings(), *_live(), *_device())}
"""Every value of the map by its name."""


def _registers() -> dict[int, Register]:
    units: dict[int, list[Item]] = {}
    for item in sorted(ITEMS.values(), key=lambda item: item.address):
        units.setdefault(item.address & ~1, []).append(item)
    return {
        address: Register(address=address, items=tuple(items))
        for address, items in units.items()
    }


REGISTERS: Final = _registers()
"""Every register by its start address; the two bytes of a packed pair share one."""


def _modbus_order(block: Block) -> tuple[int, ...]:
    """For each byte as FC03 sends it, its place in the little endian image.

    Numbers turn around, byte pairs and text do not (rs485.md 2.4).
    """
    order = list(range(BLOCK_LENGTH))
    for item in ITEMS.values():
        if item.block is block and item.kind is not Kind.RAW:
            span = slice(item.offset, item.offset + item.size)
            order[span] = reversed(order[span])
    return tuple(order)


MODBUS_ORDER: Final = {block: _modbus_order(block) for block in Block}
