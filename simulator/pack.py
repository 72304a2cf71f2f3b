"""One simulated pack: the memory of its three blocks and the journal of what was written to it."""

from dataclasses import dataclass
from enum import StrEnum
import struct
from typing import Final

from .checks import sum8
from .logs import Event, EventLog
from .physics import DAY, Physics
from .registers import (
    BLOCK_LENGTH,
    ITEMS,
    MODBUS_ORDER,
    Block,
    Item,
    Kind,
    Register,
    Version,
)
from .rules import Refusal, limits_of, refusal_of, register_for, values_of
from .seeds import PASSWORD, PIN, Trio

FRAME_LENGTH: Final = 300
_HEADER: Final = 6

_PLACES: Final = {
    item.name: (
        item.block,
        item.offset,
        struct.Struct(f"<{item.size}s" if item.kind is Kind.RAW else f"<{item.kind}"),
    )
    for item in ITEMS.values()
}
"""Where a value is in its block's image, and how it is coded there."""


class Outcome(StrEnum):
    """What became of a write."""

    STORED = "stored"
    REFUSED = "refused"
    IGNORED = "ignored"
    CLAMPED = "clamped"
    ACTION = "action"


class Writing(StrEnum):
    """How a pack treats writes: as it should, or like one of the units that do not."""

    NORMAL = "normal"
    IGNORE = "ignore"
    CLAMP = "clamp"
    REFUSE_REGISTER = "refuse-register"
    REFUSE_VALUE = "refuse-value"


@dataclass(frozen=True, kw_only=True, slots=True)
class Write:
    """One entry of a pack's journal."""

    time: float
    register: int
    data: bytes
    outcome: Outcome
    exception: Refusal | None = None
    dangerous: bool = False


type Image = dict[Block, bytes]
"""What the memory of a pack holds."""


class Pack:
    """A battery pack with its own memory, physics and identity.

    Raw values are read and set by the names of the register table.  A pack that
    is `still` keeps its frames as captured until something is written to it.
    """

    def __init__(
        self,
        trio: Trio,
        address: int,
        *,
        number: int | None = None,
        seed: int = 0,
        still: bool = False,
    ) -> None:
        """Take over the captured frames, with an identity of the pack's own."""
        self.trio = trio
        self.address = address
        self.number = address if number is None else number
        self.present = True
        """Whether the pack is on the bus at all."""
        self.deaf: float | None = None
        """Seconds without hearing after a reply, where this pack differs from its bus."""
        self.turnaround: float | None = None
        """Seconds from request to reply, where this pack differs from its bus."""
        self.writing = Writing.NORMAL
        self.journal: list[Write] = []
        """Every write that was not a read trigger, in order, refused ones too."""
        self.asked: dict[int, int] = {}
        """How often each trigger register was written and each FC03 start was read."""
        self._memory = {
            block: bytearray(frame.data[_HEADER:-1] + b"\0")
            for block, frame in trio.frames.items()
        }
        self._frames: dict[Block, bytes] = {}
        self._identify()
        self.log = EventLog()
        self._physics: Physics | None = None
        if not still:
            self.move(seed=seed)

    def _identify(self) -> None:
        """Replace what was masked in the captures by values of this pack's own."""
        version = self.text("software_version")
        number = 90_000_000_000 + self.number
        if version.startswith("19"):
            # Fifteen characters with a letter from V19 on (rs485.md 2.7).
            self.serial = f"{number // 100_000}B{number % 100_000:08}"
            serial = self.serial.encode()
        else:
            self.serial = str(number)
            serial = self.serial.encode() + b"\x00000"
        self.set("serial_number", serial)
        self.set("device_name", self.serial.encode())
        self.set("pin", PIN.encode())
        self.set("settings_password", PASSWORD.encode())
        self.set("device_address", self.address)

    # Values

    @property
    def model(self) -> str:
        """The model name in the device block."""
        return self.text("model")

    @property
    def firmware(self) -> Version:
        """The software version in the device block, as numbers."""
        major, minor = self.text("software_version").split(".")[:2]
        return int(major), int("".join(filter(str.isdigit, minor)))

    @property
    def cell_count(self) -> int:
        """How many cells report a voltage."""
        return int(self.number_of("cell_presence")).bit_count()

    @property
    def dangerous(self) -> list[Write]:
        """The journal's writes that no caller of a battery should ever make."""
        return [write for write in self.journal if write.dangerous]

    def get(self, name: str) -> int | float | bytes:
        """The raw value of a name of the register table."""
        block, offset, codec = _PLACES[name]
        value: int | float | bytes = codec.unpack_from(self._memory[block], offset)[0]
        return value

    def number_of(self, name: str) -> int:
        """The raw value of a name that is a whole number."""
        value = self.get(name)
        assert isinstance(value, int)
        return value

    def text(self, name: str) -> str:
        """The text of a name, up to its first NUL."""
        value = self.get(name)
        assert isinstance(value, bytes)
        return value.split(b"\0")[0].decode("ascii", "replace")

    def set(self, name: str, value: float | bytes) -> None:
        """Store a raw value under a name of the register table."""
        block, offset, codec = _PLACES[name]
        codec.pack_into(self._memory[block], offset, value)
        self._frames.pop(block, None)

    def image(self) -> Image:
        """All that the memory holds now."""
        return {block: bytes(memory) for block, memory in self._memory.items()}

    def restore(self, image: Image) -> None:
        """Have the settings that the memory held then; live values go on."""
        for block in (Block.SETTINGS, Block.DEVICE):
            self._memory[block][:] = image[block]
            self._frames.pop(block, None)
        for switch, (mos, _, _) in _SWITCHES.items():
            self.set(mos, self.number_of(switch))

    def readdress(self, address: int) -> None:
        """Turn the DIP switch: the pack answers at the new address, and its settings say so (rs485.md 1.3)."""
        self.address = address
        self.set("device_address", address)

    # What the line sees

    def move(self, *, seed: int = 0, day: float = DAY) -> None:
        """Let physics take over from the values as they are now; its day takes so many seconds."""
        self._physics = Physics(self, seed=seed, day=day)

    def settle(self) -> None:
        """Let the live data follow at once from what was set, instead of as soon as time passes."""
        if self._physics is not None:
            self._physics.render()

    def advance(self, now: float) -> None:
        """Let the pack's physics reach a time."""
        if self._physics is not None:
            self._physics.advance(now)

    def frame(self, block: Block) -> bytes:
        """The 300-byte frame of a block as it is now."""
        frame = self._frames.get(block)
        if frame is None:
            head = self.trio.frames[block].data[:_HEADER]
            frame = head + bytes(self._memory[block][: FRAME_LENGTH - _HEADER - 1])
            frame += bytes([sum8(frame)])
            self._frames[block] = frame
        return frame

    def read(self, address: int, length: int) -> bytes | Refusal:
        """The bytes FC03 sends for a start address and a length in bytes (rs485.md 2.3)."""
        block = Block.of(address)
        if block is None or address % 2:
            return Refusal.REGISTER
        start = address - block.base
        if start + length > BLOCK_LENGTH:
            return Refusal.REGISTER
        memory = self._memory[block]
        return bytes(
            memory[place] for place in MODBUS_ORDER[block][start : start + length]
        )

    def write(self, address: int, payload: bytes, now: float) -> Refusal | None:
        """Store a register's big endian payload if the vendor's rules allow it."""
        register = register_for(address, len(payload), self.firmware)
        refusal: Refusal | None = Refusal.REGISTER
        outcome = Outcome.REFUSED
        if register is not None:
            refusal, outcome = self._judge(register, payload)
        self.journal.append(
            Write(
                time=now,
                register=address,
                data=payload,
                outcome=outcome,
                exception=refusal,
            )
        )
        return refusal

    def _judge(
        self, register: Register, payload: bytes
    ) -> tuple[Refusal | None, Outcome]:
        values = values_of(register, payload)
        match self.writing:
            case Writing.REFUSE_REGISTER:
                return Refusal.REGISTER, Outcome.REFUSED
            case Writing.REFUSE_VALUE:
                return Refusal.VALUE, Outcome.REFUSED
            case Writing.IGNORE:
                return None, Outcome.IGNORED
            case Writing.CLAMP:
                clamped = {
                    item: self._clamp(item, value) for item, value in values.items()
                }
                self._store(clamped)
                return None, Outcome.STORED if clamped == values else Outcome.CLAMPED
        refusal = refusal_of(values, self.model, self.get)
        if refusal is not None:
            return refusal, Outcome.REFUSED
        self._store(values)
        return None, Outcome.STORED

    def _clamp(self, item: Item, value: int) -> int:
        minimum, maximum = limits_of(item, self.model)
        if maximum is not None:
            value = min(value, maximum)
        return value if minimum is None else max(value, minimum)

    def _store(self, values: dict[Item, int]) -> None:
        for item, value in values.items():
            self.set(item.name, value)
            if item.name in _SWITCHES:
                mos, off, on = _SWITCHES[item.name]
                self.set(mos, value)
                self.log.add(on if value else off, self)

    def act(self, address: int, payload: bytes, now: float) -> None:
        """Note a write to the action block.

        The clock and the emergency start have their effect, unless the pack ignores
        writes; what resets, erases or re-flashes a real pack only enters the journal.
        """
        takes = self.writing is Writing.NORMAL
        dangerous = True
        match address:
            case 0x1612 if len(payload) == 4:
                dangerous = False
                if takes:
                    self.set("rtc", int.from_bytes(payload))
            case 0x1610 if payload == b"\0\0":
                dangerous = False
                if takes:
                    self.set("emergency_left", 60 * self.number_of("emergency_minutes"))
        self.note(address, payload, now, Outcome.ACTION, dangerous=dangerous)

    def note(
        self,
        address: int,
        payload: bytes,
        now: float,
        outcome: Outcome,
        *,
        dangerous: bool = True,
    ) -> None:
        """Enter a write into the journal that is none of a setting."""
        self.journal.append(
            Write(
                time=now,
                register=address,
                data=payload,
                outcome=outcome,
                dangerous=dangerous,
            )
        )


_SWITCHES: Final = {
    "charge_switch": ("charge_mos", Event.RS485_CHARGE_OFF, Event.RS485_CHARGE_ON),
    "discharge_switch": (
        "discharge_mos",
        Event.RS485_DISCHARGE_OFF,
        Event.RS485_DISCHARGE_ON,
    ),
}
