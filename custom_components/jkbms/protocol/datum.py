"""What every value of a BMS has, whether it is read from the wire or computed."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

from .codecs import Codec


class Block(Enum):
    """The three memory blocks of a BMS (rs485.md 2.5 to 2.7)."""

    SETTINGS = ("settings", 0x01, 0x1000, 0x161E)
    LIVE = ("live", 0x02, 0x1200, 0x1620)
    DEVICE = ("device", 0x03, 0x1400, 0x161C)

    def __init__(self, label: str, frame_type: int, base: int, trigger: int) -> None:
        """Keep the frame type, the first register and the read trigger."""
        self.label: Final = label
        self.frame_type: Final = frame_type
        self.base: Final = base
        self.trigger: Final = trigger

    __hash__ = object.__hash__
    """Enum's own is in Python: blocks are keys, it took a tenth of taking a frame."""


BLOCK_OF_TYPE: Final = {block.frame_type: block for block in Block}
ALL_BLOCKS: Final = frozenset(Block)
BLOCK_OF_TRIGGER: Final = {block.trigger: block for block in Block}


class Quantity(StrEnum):
    """What kind of thing a value measures, with its unit."""

    PACK_VOLTAGE = auto()  # V
    CELL_VOLTAGE = auto()  # V
    CURRENT = auto()  # A, + = charging
    POWER = auto()  # W, + = charging
    ENERGY = auto()  # kWh, only rises
    ENERGY_STORED = auto()  # kWh
    TEMPERATURE = auto()  # °C
    STATE_OF_CHARGE = auto()  # %
    PERCENTAGE = auto()  # %
    CHARGE = auto()  # Ah
    CHARGE_THROUGHPUT = auto()  # Ah, only rises
    RESISTANCE = auto()  # mΩ
    SECONDS = auto()
    MINUTES = auto()  # only rises within a day
    DAYS = auto()
    HOURS = auto()
    MICROSECONDS = auto()
    RUN_TIME = auto()  # s, only rises
    TIME_LEFT = auto()  # s, of hours
    COUNTER = auto()  # only rises
    COUNT = auto()
    NUMBER = auto()
    TIMESTAMP = auto()
    DATE = auto()
    CHOICE = auto()
    TEXT = auto()
    FLAG = auto()
    ACTIVITY = auto()
    HEAT = auto()
    PLUG = auto()
    PROBLEM = auto()
    CONNECTIVITY = auto()


class Role(StrEnum):
    """What a value is for."""

    MEASUREMENT = auto()
    DIAGNOSTIC = auto()
    SETTING = auto()
    RAW = auto()
    """Decoded for tools and diagnostics; too obscure for an entity."""
    SECRET = auto()
    """Never decoded; its bytes are blanked wherever a frame is shown."""


class Tier(StrEnum):
    """How much harm a wrong value of a setting can do."""

    EVERYDAY = "everyday"
    PROTECTION = "protection"
    DANGER = "danger"


class Hardware(StrEnum):
    """What must be fitted for a value to mean anything."""

    CELL = auto()
    PROBE = auto()
    HEATER = auto()


@dataclass(frozen=True, slots=True, order=True)
class Firmware:
    """A software version of a BMS, as in "15.41" or "11.288H"."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str | None) -> Firmware | None:
        """Return the version in the text, or None where there is none."""
        if not text:
            return None
        major, _, rest = text.partition(".")
        digits = "".join(c if c.isdecimal() else " " for c in rest).split()
        if not major.isdecimal() or not digits or not rest[0].isdecimal():
            return None
        return cls(int(major), int(digits[0]))

    def __str__(self) -> str:
        """Return the version as JK writes it."""
        return f"{self.major}.{self.minor:02}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The range JK's own application offers for a setting (rs485.md 7)."""

    minimum: float
    maximum: float
    step: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Datum[T]:
    """One value of a BMS; the object is also the typed key to it."""

    key: str
    name: str
    """English; `{number}` stands for the number of the cell."""
    quantity: Quantity
    role: Role = Role.MEASUREMENT
    enabled: bool = True
    hardware: Hardware | None = None
    index: int | None = None
    """Which of several alike, counted from 1."""
    options: tuple[str, ...] = ()
    since: Firmware | None = None
    until: Firmware | None = None
    private: bool = False
    """Tells who the owner is: not for diagnostics."""

    @property
    def full_name(self) -> str:
        """The English name, with the number where it is one of several alike."""
        return self.name.format(number=self.index)

    @property
    def template(self) -> str:
        """The key without the number, one for all alike."""
        if self.index is None:
            return self.key
        return self.key.removesuffix(f"_{self.index}")

    def applies_to(self, firmware: Firmware | None) -> bool:
        """Tell whether this firmware can have the value; unknown firmware may."""
        if firmware is None:
            return True
        if self.since is not None and firmware < self.since:
            return False
        return self.until is None or firmware < self.until


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field[T](Datum[T]):
    """A value at a place in a block."""

    block: Block
    address: int
    """Block base + byte offset; the low byte of register 0x12A6 is at 0x12A7."""
    codec: Codec[T]
    limits: Limits | None = None
    tier: Tier | None = None
    writable: bool = False
    by_action: bool = False
    """Writable, but too easily changed by mistake for a control of its own."""
    twin_enabled: bool | None = None
    """Whether the read-only twin is enabled; None: as the control."""
    ambiguous: bool = False
    """Other firmware keeps something else at the same place."""

    @property
    def offered(self) -> bool:
        """Whether it may be a number, a switch or a choice for a person to change."""
        return self.writable and not self.by_action and self.tier is not Tier.DANGER

    @property
    def offset(self) -> int:
        """Byte offset in the block; in a frame 6 more (rs485.md 2.4)."""
        return self.address - self.block.base

    @property
    def register(self) -> int:
        """The register that holds the value, or the pair that it shares."""
        return self.address & ~1

    @property
    def words(self) -> int:
        """How many registers a write covers."""
        return max(1, self.codec.size // 2)
