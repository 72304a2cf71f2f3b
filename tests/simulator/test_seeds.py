"""A pack's frames are the captured ones, but for who it is."""

import pytest

from simulator import PASSWORD, PIN, Bank, Block, Pack, trios
from simulator.checks import sum8
from simulator.registers import ITEMS
from simulator.seeds import SeedFrame, Trio, compact_log
from tests.captures import frames, golden_frames

CAPTURED = {
    **{item.id: item.data for item in frames()},
    **{item.id: item.data for item in golden_frames()},
}
OWN = (
    "serial_number",
    "device_name",
    "pin",
    "settings_password",
    "device_address",
)

each_trio = pytest.mark.parametrize("trio", trios(), ids=lambda trio: trio.id)


def seed_frames() -> list[SeedFrame]:
    return [frame for trio in trios() for frame in trio.frames.values()]


@pytest.mark.parametrize(
    "seed", [*seed_frames(), compact_log()], ids=lambda seed: seed.capture
)
def test_a_seed_is_the_capture_it_names(seed: SeedFrame) -> None:
    assert seed.data == CAPTURED[seed.capture][:300]
    assert sum8(seed.data[:-1]) == seed.data[-1]


@each_trio
def test_the_frames_of_a_trio_are_what_they_are_called(trio: Trio) -> None:
    for block in Block:
        assert trio.frames[block].data[:5] == b"\x55\xaa\xeb\x90" + bytes([block])
    pack = Pack(trio, 1, still=True)
    assert pack.model == trio.model
    assert pack.text("software_version") == trio.firmware


@each_trio
def test_a_still_pack_repeats_the_capture_but_for_its_identity(trio: Trio) -> None:
    pack = Pack(trio, 5, still=True)
    pack.advance(0.0)
    pack.advance(86_400.0)
    for block in Block:
        own = {
            place
            for name in OWN
            if ITEMS[name].block is block
            for place in range(
                ITEMS[name].offset + 6, ITEMS[name].offset + 6 + ITEMS[name].size
            )
        }
        frame, captured = pack.frame(block), trio.frames[block].data
        different = {place for place in range(299) if frame[place] != captured[place]}
        assert len(frame) == 300
        assert different <= own
        assert frame[-1] == sum8(frame[:-1])


@each_trio
def test_cell_count_and_presence_agree_in_every_trio(trio: Trio) -> None:
    pack = Pack(trio, 1, still=True)
    assert pack.cell_count == pack.get("cell_count")
    assert all(
        pack.get(f"cell_voltage_{cell}") for cell in range(1, pack.cell_count + 1)
    )


def test_every_pack_of_a_bank_is_somebody_of_its_own() -> None:
    bank = Bank.default(range(1, 17), still=True)
    assert len({pack.serial for pack in bank}) == 16
    assert [pack.get("device_address") for pack in bank] == [*range(1, 17)]
    for pack in bank:
        assert pack.text("serial_number") == pack.text("device_name") == pack.serial
        assert len(pack.serial) == (15 if pack.firmware[0] == 19 else 11)
        device = pack.frame(Block.DEVICE)
        assert device[62:78].rstrip(b"\0") == PIN.encode()
        assert device[118:134].rstrip(b"\0") == PASSWORD.encode()


def test_the_secrets_are_only_in_the_device_frame() -> None:
    for pack in Bank.default(range(1, 8), still=True):
        for block in (Block.SETTINGS, Block.LIVE):
            assert PIN.encode() not in pack.frame(block)
            assert PASSWORD.encode() not in pack.frame(block)


def test_the_default_bank_cycles_through_the_kinds_of_packs() -> None:
    bank = Bank.default(range(16))
    assert len(bank) == 16
    assert bank.addresses == [*range(16)]
    assert [pack.trio for pack in bank] == [
        trios()[place % len(trios())] for place in range(16)
    ]
    assert [pack.text("software_version") for pack in bank][:4] == [
        "15.41",
        "15.38",
        "19.27",
        "15.41",
    ]
    with pytest.raises(KeyError):
        bank[16]
