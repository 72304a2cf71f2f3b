"""How the rows of the datasheet are written down."""

from typing import Final, TypedDict, Unpack

from ..codecs import Codec, hexadecimal
from ..datum import Block, Field, Firmware, Hardware, Limits, Quantity, Role, Tier

MAX_CELLS: Final = 32
MAX_ADDRESS: Final = 15
"""The DIP switch has four positions (rs485.md 1.3)."""
SWITCH_WORD: Final = 0x1114
V11: Final = Firmware(14, 17)
"""First firmware with the map V1.1 (rs485.md 2.5)."""
CHARGE_PHASES: Final = Firmware(15, 0)
HEATING_TEMPERATURES: Final = Firmware(15, 41)
"""0x1116 changed its meaning here (rs485.md 5.1)."""
EXTRA_PROBES: Final = Firmware(14, 0)
"""Older boards hold 0 where T4 and T5 are (ble.md 5.1)."""
V19: Final = Firmware(19, 0)

EVERYDAY: Final = Tier.EVERYDAY
PROTECTION: Final = Tier.PROTECTION
DANGER: Final = Tier.DANGER


class Options(TypedDict, total=False):
    """What a row may say beyond its place and meaning."""

    enabled: bool
    hardware: Hardware
    index: int
    since: Firmware
    until: Firmware
    private: bool
    twin_enabled: bool
    ambiguous: bool
    writable: bool
    by_action: bool


class SettingOptions(Options, total=False):
    """What only a setting says."""

    limits: Limits
    tier: Tier


def row[T](
    block: Block,
    role: Role,
    key: str,
    name: str,
    address: int,
    codec: Codec[T],
    quantity: Quantity,
    **options: Unpack[SettingOptions],
) -> Field[T]:
    """Declare a value of any kind."""
    return Field(
        block=block,
        role=role,
        key=key,
        name=name,
        address=address,
        codec=codec,
        quantity=quantity,
        options=getattr(codec, "options", ()),
        **options,
    )


def live[T](
    key: str,
    name: str,
    address: int,
    codec: Codec[T],
    quantity: Quantity,
    **options: Unpack[Options],
) -> Field[T]:
    """Declare a value of the live block."""
    return row(
        Block.LIVE, Role.MEASUREMENT, key, name, address, codec, quantity, **options
    )


def live_info[T](
    key: str,
    name: str,
    address: int,
    codec: Codec[T],
    quantity: Quantity,
    **options: Unpack[Options],
) -> Field[T]:
    """Declare a diagnostic value of the live block."""
    options.setdefault("enabled", False)
    return row(
        Block.LIVE, Role.DIAGNOSTIC, key, name, address, codec, quantity, **options
    )


def raw[T](
    block: Block, key: str, address: int, codec: Codec[T], **options: Unpack[Options]
) -> Field[T]:
    """Declare a value for tools and diagnostics only."""
    return row(block, Role.RAW, key, key, address, codec, Quantity.NUMBER, **options)


def info[T](
    key: str,
    name: str,
    address: int,
    codec: Codec[T],
    quantity: Quantity,
    **options: Unpack[Options],
) -> Field[T]:
    """Declare a diagnostic value of the device block."""
    options.setdefault("enabled", False)
    return row(
        Block.DEVICE, Role.DIAGNOSTIC, key, name, address, codec, quantity, **options
    )


def secret(address: int, size: int) -> Field[str]:
    """Declare bytes that are never decoded."""
    key = f"secret_{address:04x}"
    return row(
        Block.DEVICE, Role.SECRET, key, key, address, hexadecimal(size), Quantity.TEXT
    )


def _block_of(address: int) -> Block:
    return Block.DEVICE if address >= Block.DEVICE.base else Block.SETTINGS


def number(
    key: str,
    name: str,
    address: int,
    codec: Codec[float],
    quantity: Quantity,
    limits: tuple[float, float, float],
    tier: Tier,
    **options: Unpack[Options],
) -> Field[float]:
    """Declare a setting with a range, (minimum, maximum, step)."""
    minimum, maximum, step = limits
    options.setdefault("enabled", False)
    options.setdefault("writable", True)
    return row(
        _block_of(address),
        Role.SETTING,
        key,
        name,
        address,
        codec,
        quantity,
        limits=Limits(minimum=minimum, maximum=maximum, step=step),
        tier=tier,
        **options,
    )


def switch(
    key: str,
    name: str,
    address: int,
    codec: Codec[bool],
    tier: Tier,
    **options: Unpack[Options],
) -> Field[bool]:
    """Declare a setting that is on or off."""
    options.setdefault("enabled", False)
    options.setdefault("writable", True)
    return row(
        Block.SETTINGS,
        Role.SETTING,
        key,
        name,
        address,
        codec,
        Quantity.FLAG,
        tier=tier,
        **options,
    )


def choice(
    key: str,
    name: str,
    address: int,
    codec: Codec[str],
    tier: Tier,
    **options: Unpack[Options],
) -> Field[str]:
    """Declare a setting that is one of several."""
    options.setdefault("enabled", False)
    options.setdefault("writable", True)
    return row(
        _block_of(address),
        Role.SETTING,
        key,
        name,
        address,
        codec,
        Quantity.CHOICE,
        tier=tier,
        **options,
    )


def readonly[T](
    key: str,
    name: str,
    address: int,
    codec: Codec[T],
    quantity: Quantity,
    tier: Tier = DANGER,
    **options: Unpack[Options],
) -> Field[T]:
    """Declare a setting that is shown and never written from here."""
    options.setdefault("enabled", False)
    return row(
        _block_of(address),
        Role.SETTING,
        key,
        name,
        address,
        codec,
        quantity,
        tier=tier,
        **options,
    )
