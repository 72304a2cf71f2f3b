"""Device information, block 0x1400 (rs485.md 2.7)."""

from typing import Any, Final

from ..codecs import DATE, I32, U8, U8_TENTH, U16, U32, enum8, hexadecimal, text
from ..datum import Block, Field, Quantity
from .rows import DANGER, EVERYDAY, choice, info, number, raw, readonly, secret

_PHASE_TIME: Final = (0.0, 25.0, 0.1)
TRIGGER_SOURCES: Final = (
    "none",
    "low_soc",
    "battery_overvoltage",
    "battery_undervoltage",
    "cell_overvoltage",
    "cell_undervoltage",
    "charge_overcurrent",
    "discharge_overcurrent",
    "battery_overtemperature",
    "mos_overtemperature",
    "system_alarm",
    "battery_low_temperature",
    "remote_control",
    "high_soc",
    "mos_fault",
)
_UART_PROTOCOLS: Final = (
    "remote_module",
    "jk_modbus",
    "niu",
    "china_tower_1",
    "pace",
    "pylontech",
    "growatt",
    "voltronic",
    "china_tower_2",
    "srne",
    "jk_display",
    "custom_1",
    "custom_2",
    "jk_modbus_9600",
    "pylontech_9600",
    "jk_storage",
    "lin",
)
"""What a UART may speak, by its number in JK's app (rs485.md 1.4)."""
_CAN_PROTOCOLS: Final = (
    "jk_250k",
    "deye",
    "pylontech",
    "growatt",
    "victron",
    "megarevo",
    "jk_500k",
    "invt",
    "goodwe",
    "sma",
    "must",
    "luxpower",
    "custom_1",
    "custom_2",
)
"""What the CAN socket may speak, by its number in JK's app (rs485.md 1.4)."""
MODEL: Final = raw(Block.DEVICE, "model", 0x1400, text(15))
HARDWARE_VERSION: Final = info(
    "hardware_version", "Hardware version", 0x1410, text(8), Quantity.TEXT
)
SOFTWARE_VERSION: Final = info(
    "software_version", "Software version", 0x1418, text(8), Quantity.TEXT
)
BLUETOOTH_NAME: Final = info(
    "bluetooth_name", "Bluetooth name", 0x1428, text(16), Quantity.TEXT, private=True
)
SERIAL_NUMBER: Final = info(
    "serial_number", "Serial number", 0x1450, text(16), Quantity.TEXT, private=True
)
HARDWARE_OPTIONS: Final = raw(Block.DEVICE, "hardware_options", 0x14B8, text(12))

UART1_PROTOCOL: Final = choice(
    "uart1_protocol", "UART1 protocol", 0x14B2, enum8(*_UART_PROTOCOLS), DANGER
)
CAN_PROTOCOL: Final = choice(
    "can_protocol", "CAN protocol", 0x14B3, enum8(*_CAN_PROTOCOLS), DANGER
)
UART1_PROTOCOL_MASK: Final = raw(
    Block.DEVICE, "uart1_protocol_mask", 0x14B4, hexadecimal(4)
)
CAN_PROTOCOL_MASK: Final = raw(
    Block.DEVICE, "can_protocol_mask", 0x14C4, hexadecimal(4)
)


def _contact(
    key: str, name: str, source: int, value: int
) -> tuple[Field[str], Field[float], Field[float]]:
    """Declare one alarm output: what triggers it, at which value, until which.

    The unit of the two values depends on the source, and its scale is stated for some
    of the sources only, so they are shown and not written (rs485.md 2.7).
    """
    return (
        choice(
            f"{key}_trigger",
            f"{name} trigger",
            source,
            enum8(*TRIGGER_SOURCES),
            EVERYDAY,
        ),
        readonly(
            f"{key}_value",
            f"{name} trigger value",
            value,
            I32,
            Quantity.NUMBER,
            EVERYDAY,
        ),
        readonly(
            f"{key}_release",
            f"{name} release value",
            value + 4,
            I32,
            Quantity.NUMBER,
            EVERYDAY,
        ),
    )


DEVICE: Final[tuple[Field[Any], ...]] = (
    MODEL,
    raw(Block.DEVICE, "max_cells", 0x140F, U8),
    HARDWARE_VERSION,
    SOFTWARE_VERSION,
    raw(Block.DEVICE, "device_runtime", 0x1420, U32),
    info("power_on_count", "Power-on count", 0x1424, U32, Quantity.COUNTER),
    BLUETOOTH_NAME,
    secret(0x1438, 16),
    info("manufacturing_date", "Manufacturing date", 0x1448, DATE, Quantity.DATE),
    SERIAL_NUMBER,
    raw(Block.DEVICE, "user_data", 0x1460, text(16), private=True),
    secret(0x1470, 16),
    raw(Block.DEVICE, "user_data_2", 0x1480, text(16), private=True),
    raw(Block.DEVICE, "command_mask", 0x1490, hexadecimal(32)),
    raw(Block.DEVICE, "agency_id", 0x14B0, U16),
    UART1_PROTOCOL,
    CAN_PROTOCOL,
    UART1_PROTOCOL_MASK,
    HARDWARE_OPTIONS,
    CAN_PROTOCOL_MASK,
    raw(Block.DEVICE, "uart2_protocol", 0x14D4, U8),
    raw(Block.DEVICE, "uart2_protocol_mask", 0x14D5, hexadecimal(4)),
    *_contact("lcd_buzzer", "LCD buzzer", 0x14E4, 0x14E8),
    *_contact("dry_1", "Dry contact 1", 0x14E5, 0x14F0),
    *_contact("dry_2", "Dry contact 2", 0x14E6, 0x14F8),
    raw(Block.DEVICE, "uart_library_version", 0x14E7, U8),
    number(
        "data_stored_period",
        "Data storage period",
        0x1500,
        I32,
        Quantity.SECONDS,
        (5, 864_000, 1),
        EVERYDAY,
    ),
    number(
        "cell_request_charge_time",
        "RCV time",
        0x1504,
        U8_TENTH,
        Quantity.HOURS,
        _PHASE_TIME,
        EVERYDAY,
    ),
    number(
        "cell_request_float_time",
        "RFV time",
        0x1505,
        U8_TENTH,
        Quantity.HOURS,
        _PHASE_TIME,
        EVERYDAY,
    ),
    raw(Block.DEVICE, "can_library_version", 0x1506, U8),
    raw(Block.DEVICE, "emergency_duration", 0x1507, U8),
    raw(Block.DEVICE, "uart3_protocol", 0x1508, U8),
    raw(Block.DEVICE, "uart3_protocol_mask", 0x1509, hexadecimal(7)),
    raw(Block.DEVICE, "rebulk_soc", 0x1510, U8),
    raw(Block.DEVICE, "uart4_protocol", 0x1511, U8),
    raw(Block.DEVICE, "uart4_protocol_mask", 0x1512, hexadecimal(4)),
    raw(Block.DEVICE, "device_field_mask", 0x1519, hexadecimal(11)),
    raw(Block.DEVICE, "protocol_version", 0x1524, U8),
)
