"""What the protocol tests share: frames of simulated packs, a bus in simulated time, noise with a seed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
import struct
from typing import Any, Final

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.frames import (
    MAGIC,
    Discarded,
    Frame,
    Item,
    WriteRequest,
    sum8,
    trigger,
)
from custom_components.jkbms.protocol.layout import FRAME_HEAD
from custom_components.jkbms.protocol.stream import Framer
import simulator
from simulator import Bank, Pack, trios

SIMULATED: Final = {
    Block.SETTINGS: simulator.Block.SETTINGS,
    Block.LIVE: simulator.Block.LIVE,
    Block.DEVICE: simulator.Block.DEVICE,
}


def pack(kind: int = 0, address: int = 1, **raw: Any) -> Pack:
    """Return a pack that stands still, of one of the captured kinds, with some raw values changed."""
    made = Pack(trios()[kind], address, still=True)
    for name, value in raw.items():
        made.set(name, value)
    return made


def frame_of(of: Pack, block: Block) -> Frame:
    """Return the frame that a simulated pack would send."""
    return Frame(of.frame(SIMULATED[block]))


def with_raw(frame: bytes, values: Mapping[str, int | bytes]) -> bytes:
    """Return a frame that tells other raw values, by the keys of the fields."""
    edited = bytearray(frame)
    for key, raw in values.items():
        field = BY_KEY[key]
        code = f"<{field.codec.code}"
        struct.pack_into(code, edited, FRAME_HEAD + field.offset, raw)
    edited[-1] = sum8(bytes(edited))
    return bytes(edited)


def answer_of(of: Pack, block: Block) -> bytes:
    """Return the whole answer of a simulated pack to a trigger: its frame and its ACK."""
    return frame_of(of, block).data + ack_of(of.address, block)


def ack_of(address: int, block: Block) -> bytes:
    """Return the ACK behind a frame."""
    request = trigger(address, block)
    return acknowledgement(request)


def acknowledgement(request: WriteRequest) -> bytes:
    """Return the ACK of a write, built from the request's own bytes."""
    head = request.encode()[:6]
    return head + crc_bytes(head)


def crc_bytes(body: bytes) -> bytes:
    """Return the CRC-16/MODBUS, computed bit by bit: a second opinion."""
    crc = 0xFFFF
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc.to_bytes(2, "little")


def cut_up(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """Yield the data in reads of these sizes; the last one as long as it takes."""
    at = 0
    for size in sizes:
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size
    yield data[at:]


def read_sizes(random: Random, most: int = 128) -> Iterator[int]:
    """Yield sizes of reads without end."""
    while True:
        yield random.randint(1, most)


def framed(data: bytes, sizes: Iterable[int] = ()) -> list[Item]:
    """Return everything that the framer finds, in reads of these sizes."""
    framer = Framer()
    items = [item for piece in cut_up(data, sizes) for item in framer.feed(piece)]
    return items + framer.flush()


def merged(items: Iterable[Item]) -> list[Item | int]:
    """Return the items with each run of discarded bytes as one number."""
    out: list[Item | int] = []
    for item in items:
        if isinstance(item, Discarded):
            if out and isinstance(out[-1], int):
                out[-1] += item.count
            else:
                out.append(item.count)
        else:
            out.append(item)
    return out


@dataclass
class NoisyStream:
    """A line as in performance.md 1: transactions, some of them damaged, and noise."""

    data: bytes
    intact: list[bytes]
    """The frames that a framer has to find, in order."""


def noisy_stream(
    seed: int, *, transactions: int = 200, damaged: int = 19
) -> NoisyStream:
    """Return a line of request, frame and ACK over and over.

    A damaged frame has one byte changed or has lost its end; half the transactions are
    followed by 1 to 64 bytes of noise, some with a false head.
    """
    random = Random(seed)
    bank = [pack(kind % 7, address=kind + 1) for kind in range(16)]
    hurt = set(random.sample(range(transactions), damaged))
    noisy = set(random.sample(range(transactions), transactions // 2))
    data = bytearray()
    intact = []
    for number in range(transactions):
        of = random.choice(bank)
        block = random.choice(tuple(Block))
        of.set("run_time", number)
        of.set("remaining_capacity", random.randrange(300_000))
        frame = frame_of(of, block).data
        data += trigger(of.address, block).encode()
        if number not in hurt:
            intact.append(frame)
        elif random.random() < 0.5:
            broken = bytearray(frame)
            broken[random.randrange(300)] ^= random.randrange(1, 256)
            frame = bytes(broken)
        else:
            frame = frame[: random.randrange(1, 300)]
        data += frame + ack_of(of.address, block)
        if number in noisy:
            data += noise(random, random.randint(1, 64))
    return NoisyStream(bytes(data), intact)


def noise(random: Random, size: int) -> bytes:
    """Return random bytes, every fourth time with a false head among them."""
    run = bytearray(random.randbytes(size))
    if random.random() < 0.25:
        at = random.randrange(size)
        run[at : at + 5] = MAGIC + bytes((random.randint(1, 3),))
    return bytes(run[:size])


def bank_of(*addresses: int) -> Bank:
    """Return packs that stand still."""
    return Bank.default(addresses, seed=1, still=True)
