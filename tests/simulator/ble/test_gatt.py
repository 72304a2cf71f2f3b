"""What a simulated module sends, held against recordings and the published tables."""

import struct

import pytest

from simulator import Block, Pack, trios
from simulator.ble import (
    GattPack,
    Generation,
    Glue,
    Kind,
    characteristics,
    frame_of,
    make_older,
)
from tests.captures import frames

ASK_DEVICE = bytes.fromhex("AA5590EB9700000000000000000000000000" + "0011")
ASK_SETTINGS = bytes.fromhex("AA5590EB9600000000000000000000000000" + "0010")
READY = bytes.fromhex("AA5590EBC8010100000000000000000000000044")
RECORDED = {capture.id: capture.data[:300] for capture in frames()}


def gatt(generation: Generation = Generation.CELLS_32, **more: object) -> GattPack:
    pack = make_older(Pack(trios()[0], 0, still=True), generation)
    made = GattPack(pack, generation=generation, **more)  # type: ignore[arg-type]  # passed on
    made.connect(100.0)
    return made


def zeros(frame: bytes, *parts: tuple[int, int]) -> bool:
    return all(not any(frame[start:stop]) for start, stop in parts)


def test_a_frame_of_today_is_that_of_rs485() -> None:
    pack = Pack(trios()[0], 0, still=True)
    for block in Block:
        made = frame_of(pack, block, Generation.CELLS_32, 7)
        assert made[6:299] == pack.frame(block)[6:299]
        assert (made[5], made[299]) == (7, sum(made[:299]) % 256)


def test_an_older_frame_has_zeros_where_recorded_ones_have() -> None:
    pack = make_older(Pack(trios()[0], 0, still=True), Generation.CELLS_24)
    settings = frame_of(pack, Block.SETTINGS, Generation.CELLS_24, 0)
    device = frame_of(pack, Block.DEVICE, Generation.CELLS_24, 0)
    for made, recorded in (
        (settings, RECORDED["syssi-faker-24s-settings"]),
        (device, RECORDED["syssi-24s-v10-dev"]),
    ):
        assert zeros(made, (254, 299), (134, 134))
        assert zeros(recorded, (254, 299))
    assert zeros(device, (134, 299))
    assert zeros(RECORDED["syssi-24s-v10-dev"], (134, 299))


def test_the_average_of_an_older_frame_fits_its_mask() -> None:
    for generation, mask_at, code, at in (
        (Generation.CELLS_24, 54, "24H", 6),
        (Generation.FLOATS, 214, "24f", 6),
    ):
        for frame in (
            frame_of(Pack(trios()[0], 0, still=True), Block.LIVE, generation, 0),
            RECORDED["syssi-24s-v10-cell" if mask_at == 54 else "syssi-jk04-cell"],
        ):
            (mask,) = struct.unpack_from("<I", frame, mask_at)
            cells = struct.unpack_from(f"<{code}", frame, at)
            assert [bool(mask >> n & 1) for n in range(24)] == [bool(c) for c in cells]


def test_orders_bring_what_they_ask_for_and_then_the_stream() -> None:
    module = gatt(glue=Glue.APART)
    assert module.due() is None
    module.write(ASK_DEVICE, 100.0)
    assert b"".join(module.collect(100.2))[4] == 3
    module.write(ASK_SETTINGS, 101.0)
    settings = module.collect(101.05)
    assert [len(p) for p in settings] == [244, 56]
    assert module.collect(101.2) == [READY]
    live = b"".join(module.collect(103.2))
    assert live.count(b"\x55\xaa\xeb\x90\x02") == 4
    assert len(live) == 1200


@pytest.mark.parametrize("mtu", [23, 131, 247])
def test_no_packet_is_larger_than_the_mtu_lets_it_be(mtu: int) -> None:
    module = gatt(mtu=mtu, glue=Glue.GLUED_IDLE, idle=True, repeats=True, joined=True)
    module.write(ASK_SETTINGS, 100.0)
    packets = module.collect(105.0)
    assert max(map(len, packets)) <= mtu - 3
    whole = b"".join(packets)
    assert READY + b"AT\r\n" in whole
    assert b"AT\r\n\x55\xaa\xeb\x90\x02" in whole
    assert b"AT\r\n" in packets


def test_two_frames_share_a_notification() -> None:
    module = gatt(mtu=517, joined=True, repeats=True)
    module.write(ASK_SETTINGS, 100.0)
    first = module.collect(100.05)[0]
    assert len(first) == 514
    assert first[300:306] == b"\x55\xaa\xeb\x90\x03\xa5"


def test_what_is_no_order_is_ignored() -> None:
    module = gatt()
    for data in (b"", ASK_DEVICE[:19], ASK_DEVICE[:-1] + b"\0", bytes(20)):
        module.write(data, 100.0)
    assert module.orders == []
    assert module.due() is None


def test_orders_that_do_harm_are_noted_and_do_nothing() -> None:
    module = gatt()
    before = module.pack.image()
    for number, register in enumerate((0x65, 0x66, 0x68, 0x9D)):
        order = b"\xaa\x55\x90\xeb" + bytes([register]) + bytes(14)
        module.write(order + bytes([sum(order) % 256]), 100.0 + 2 * number)
    assert len(module.pack.dangerous) == 4
    assert module.pack.image() == before


def test_a_pack_takes_one_client() -> None:
    module = gatt()
    with pytest.raises(AssertionError):
        module.connect(101.0)
    module.disconnect()
    assert module.due() is None
    module.connect(102.0)
    assert module.connections == 2


def test_each_kind_of_module_has_what_is_needed_once() -> None:
    for kind in Kind:
        offered = characteristics(kind)
        assert sum("notify" in c.properties for c in offered) == 1
        assert any("write-without-response" in c.properties for c in offered)
        assert len({c.handle for c in offered}) == 2
    new = characteristics(Kind.NEW)
    assert new[0].uuid == new[1].uuid
