"""A bank that talks to an inverter: order, timing and content (can.md 2)."""

from datetime import datetime
from itertools import pairwise

import pytest

from simulator import Bank, Pack
from simulator.can import CanBus, Dialect, frame_of, parallel_bank
from simulator.can.inverter import SCRIPTS

from . import KEEP_ALIVE, REQUEST, heard, opened, pack, passed

PYLON_ORDER = [0x351, 0x355, 0x356, 0x35C, 0x35E, 0x370, 0x371, 0x359]
VICTRON_ORDER = [
    *(0x351, 0x355, 0x356, 0x35A, 0x35E, 0x35F, 0x360, 0x370, 0x371),
    *(0x372, 0x373, 0x374, 0x375, 0x376, 0x377, 0x378, 0x379, 0x380, 0x381),
]
SMA_ORDER = [0x351, 0x355, 0x356, 0x35A, 0x35E, 0x35F]
GROWATT_ORDER = [0x311, 0x312, 0x313, 0x314, 0x319, 0x320, 0x321, 0x322, 0x323]


def captured() -> Bank:
    """One pack with the values behind the captured inverter frames."""
    cells = {f"cell_voltage_{cell}": 3572 for cell in range(1, 17)}
    return Bank(
        [
            pack(
                0,
                **cells
                | {"cell_voltage_1": 3573, "cell_voltage_4": 3571}
                | {"temperature_1": 295, "temperature_2": 296},
                temperature_4=300,
                temperature_5=289,
                pack_voltage=57_140,
                current=0,
                remaining_capacity=39_480,
                full_capacity=40_000,
                nominal_capacity=40_000,
                soh=100,
                soc=99,
                charge_current_limit=38_000,
                discharge_current_limit=190_000,
                alarms=0,
            )
        ]
    )


def said(bank: Bank, dialect: Dialect) -> dict[int, bytes]:
    """One cycle of a bank that is not asked twice."""
    bus = CanBus(bank, dialect, unasked=5.0)
    return {can_id: data for _, can_id, _, data in passed(bus, 1.5)}


@pytest.mark.parametrize(
    ("dialect", "order", "spacing"),
    [
        (Dialect.PYLON, PYLON_ORDER, 0.1),
        (Dialect.VICTRON, VICTRON_ORDER, 0.04),
        (Dialect.SMA, SMA_ORDER, 0.166),
    ],
)
def test_frames_have_the_order_and_the_times_measured(
    dialect: Dialect, order: list[int], spacing: float
) -> None:
    messages = passed(CanBus(parallel_bank(range(4)), dialect), 60.0)
    ids = [can_id for _, can_id, _, _ in messages]
    assert ids[: 3 * len(order)] == order * 3
    gaps = [after[0] - before[0] for before, after in pairwise(messages)]
    assert all(gap == pytest.approx(spacing, abs=1e-6) for gap in gaps)
    assert all(len(data) == 8 and not extended for _, _, extended, data in messages)
    assert SCRIPTS[dialect].period == pytest.approx(spacing * len(order))


def test_a_pylon_bank_says_what_was_captured() -> None:
    frames = said(captured(), Dialect.PYLON)
    assert frames[0x351][2:6] == bytes.fromhex("7C016C07")
    assert frames[0x355] == bytes.fromhex("6300640000000000")
    assert frames[0x356] == bytes.fromhex("5216000027010000")
    assert frames[0x359] == bytes.fromhex("0000000001504E00")
    assert frames[0x35C] == bytes.fromhex("C000000000000000")
    assert frames[0x35E] == bytes.fromhex("4A4B2D424D530000")
    assert frames[0x370] == bytes.fromhex("1E001D00F50DF30D")
    assert frames[0x371] == bytes.fromhex("0400050001000400")


def test_limits_come_from_the_settings() -> None:
    made = pack(0, rcv=3450, cell_uvp=2700)
    assert said(Bank([made]), Dialect.PYLON)[0x351] == bytes.fromhex(
        (552).to_bytes(2, "little").hex()
        + (600).to_bytes(2, "little").hex()
        + (1000).to_bytes(2, "little").hex()
        + (432).to_bytes(2, "little").hex()
    )


def test_a_victron_bank_says_what_was_captured() -> None:
    frames = said(captured(), Dialect.VICTRON)
    assert frames[0x355] == bytes.fromhex("630064008E260000")
    assert frames[0x35A] == bytes.fromhex("A8A80200A8A80202")
    # The captured pack had firmware 15.38, this one has 15.41.
    assert frames[0x35F] == bytes.fromhex("694C0F2927000000")
    assert frames[0x360] == bytes(8)
    assert frames[0x370] == b"JK-BMS\0\0"
    assert frames[0x371] == bytes(8)
    assert frames[0x372] == bytes.fromhex("0100000000000000")
    assert frames[0x373] == bytes.fromhex("F30DF50D2E012F01")
    assert frames[0x374] == b"00::04\0\0"
    assert frames[0x375] == b"00::01\0\0"
    assert (frames[0x376][:6], frames[0x377][:6]) == (b"00::05", b"00::04")
    assert frames[0x379] == bytes.fromhex("2800000000000000")
    assert (frames[0x380] + frames[0x381]).rstrip(b"\0") == captured()[
        0
    ].serial.encode()


def test_a_victron_bank_counts_discharged_energy() -> None:
    bank = captured()
    bank[0].set("cycled_capacity", 1_000_000)
    # 1000 Ah at 57.14 V are 57.14 kWh.
    assert said(bank, Dialect.VICTRON)[0x378] == bytes(4) + (571).to_bytes(4, "little")


def test_an_sma_bank_tells_its_capacity() -> None:
    frames = said(captured(), Dialect.SMA)
    assert [*frames] == SMA_ORDER
    assert frames[0x355] == bytes.fromhex("630064008E260000")
    assert frames[0x35F] == bytes.fromhex("00000F2928000000")


def test_a_bank_is_the_sum_of_its_packs() -> None:
    bank = parallel_bank(range(1, 5), still=True)
    frames = said(bank, Dialect.PYLON)
    packs = [*bank]

    def total(name: str) -> int:
        return sum(made.number_of(name) for made in packs)

    assert int.from_bytes(frames[0x351][2:4], "little") == pytest.approx(
        total("charge_current_limit") / 100
    )
    assert int.from_bytes(frames[0x356][:2], "little") == round(
        total("pack_voltage") / 4 / 10
    )
    assert int.from_bytes(frames[0x356][2:4], "little", signed=True) == round(
        total("current") / 100
    )
    assert int.from_bytes(frames[0x355][:2], "little") == round(
        100 * total("remaining_capacity") / total("full_capacity")
    )
    cells = [
        made.number_of(f"cell_voltage_{cell + 1}")
        for made in packs
        for cell in range(16)
    ]
    assert int.from_bytes(frames[0x370][4:6], "little") == max(cells)
    assert int.from_bytes(frames[0x370][6:], "little") == min(cells)
    assert frames[0x359][4] == 4


def test_a_bank_of_sixteen_stays_within_sixteen_bits() -> None:
    bank = parallel_bank(range(16), still=True)
    for made in bank:
        made.set("discharge_current_limit", 350_000)
        made.set("current", -350_000)
    frames = said(bank, Dialect.PYLON)
    assert frames[0x351][4:6] == bytes.fromhex("FF7F")
    assert frames[0x356][2:4] == bytes.fromhex("0080")


def test_a_pack_that_blocks_adds_no_limit() -> None:
    bank = parallel_bank(range(2), still=True)
    bank[0].set("charge_mos", 0)
    frames = said(bank, Dialect.VICTRON)
    limit = bank[1].number_of("charge_current_limit") // 100
    assert int.from_bytes(frames[0x351][2:4], "little") == limit
    assert frames[0x372] == bytes.fromhex("0200010000000000")
    for made in bank:
        made.set("charge_mos", 0)
        made.set("discharge_mos", 0)
    assert said(bank, Dialect.PYLON)[0x35C] == bytes(8)


def test_absent_packs_are_offline_and_a_bank_without_any_is_silent() -> None:
    bank = parallel_bank(range(3), still=True)
    bank[1].present = False
    assert said(bank, Dialect.VICTRON)[0x372] == bytes.fromhex("0200000000000100")
    for made in bank:
        made.present = False
    bus = CanBus(bank, Dialect.VICTRON)
    tap = opened(bus)
    bus.advance(5.0)
    assert heard(tap) == []
    bank[2].present = True
    bus.advance(10.0)
    assert heard(tap)[0].id == 0x351


def test_without_probes_the_temperature_is_zero() -> None:
    probes = {f"temperature_{number}": -2000 for number in (1, 2, 4, 5)}
    assert said(Bank([pack(0, **probes)]), Dialect.PYLON)[0x370][:4] == bytes(4)


@pytest.mark.parametrize(
    ("bit", "protections", "pairs"),
    [
        (4, "0200000001504E00", "A4A80200A8A80202"),
        (11, "0400000001504E00", "98A80200A8A80202"),
        (15, "0800000001504E00", "68A80200A8A80202"),
        (27, "1000000001504E00", "A8A90200A8A80202"),
        (8, "0800000001504E00", "A8A40200A8A80202"),
        (9, "1000000001504E00", "A8980200A8A80202"),
        (13, "8000000001504E00", "A8680200A8A80202"),
        (6, "0001000001504E00", "A8A80100A8A80202"),
        (7, "0001000001504E00", "A8A81200A8A80202"),
        (10, "0008000001504E00", "A8A84200A8A80202"),
        (21, "0000080001504E00", "A8A8020068A80202"),
        (19, "0000000001504E00", "A8A80200A8A80202"),
    ],
)
def test_an_alarm_of_any_pack_is_an_alarm_of_the_bank(
    bit: int, protections: str, pairs: str
) -> None:
    bank = Bank([pack(0, alarms=1 << bit)])
    assert said(bank, Dialect.PYLON)[0x359].hex().upper() == protections
    assert said(bank, Dialect.VICTRON)[0x35A].hex().upper() == pairs
    two = parallel_bank(range(2), still=True)
    for made in two:
        made.set("alarms", 0)
    two[1].set("alarms", 1 << bit)
    assert said(two, Dialect.VICTRON)[0x35A].hex().upper() == pairs


def growatt() -> Bank:
    """One pack with the values behind the captured Growatt frames."""
    bank = captured()
    made = bank[0]
    for cell in range(1, 17):
        made.set(f"cell_voltage_{cell}", 3568)
    for name, value in {
        "cell_voltage_1": 3570,
        "cell_voltage_7": 3566,
        "rcv": 3600,
        "pack_voltage": 57_070,
        "temperature_4": 317,
        "soc": 86,
        "remaining_capacity": 43_000,
        "full_capacity": 50_000,
    }.items():
        made.set(name, value)
    return bank


def test_a_growatt_bank_says_what_was_captured() -> None:
    frames = said(growatt(), Dialect.GROWATT)
    assert [*frames] == GROWATT_ORDER
    assert frames[0x311][:4] == bytes.fromhex("0240017C")
    assert frames[0x313] == bytes.fromhex("164B0000013D5664")
    assert frames[0x314][:4] == bytes.fromhex("01AE01F4")
    assert frames[0x319] == bytes.fromhex("C00DF20DEE010700")
    assert frames[0x320][:4] == bytes.fromhex("4A4B0F29")
    assert frames[0x321] == bytes(8)
    assert frames[0x322] == bytes.fromhex("013D012104055656")
    assert frames[0x323] == bytes.fromhex("1000000000000000")
    assert frames[0x312] == bytes([0, 0, 0, 0, 1]) + b"JK" + bytes([16])


def test_a_growatt_bank_tells_the_date() -> None:
    bank = growatt()
    moment = datetime(2024, 11, 6, 16, 29, 37) - datetime(2020, 1, 1)
    bank[0].set("rtc", round(moment.total_seconds()))
    date = int.from_bytes(said(bank, Dialect.GROWATT)[0x320][4:])
    found = [date & 63, date >> 6 & 63, date >> 12 & 31, date >> 17 & 31]
    assert [*found, date >> 22 & 15, date >> 26] == [37, 29, 16, 6, 11, 24]


@pytest.mark.parametrize(("current", "state"), [(0, 1), (5000, 2), (-5000, 3)])
def test_a_growatt_bank_tells_what_it_does(current: int, state: int) -> None:
    bank = growatt()
    bank[0].set("current", current)
    bank[0].set("balancer_state", 1)
    assert said(bank, Dialect.GROWATT)[0x311][6:] == bytes([0, 0x68 | state])
    bank.packs.append(Pack(bank[0].trio, 1, still=True))
    assert said(bank, Dialect.GROWATT)[0x311][6] == 1


@pytest.mark.parametrize(
    ("bit", "data"),
    [
        (4, "1000"),
        (5, "0400"),
        (6, "4000"),
        (8, "0040"),
        (9, "0010"),
        (10, "0002"),
        (11, "0800"),
        (12, "0200"),
        (13, "8000"),
        (14, "A000"),
        (15, "0080"),
        (27, "0020"),
    ],
)
def test_a_growatt_bank_tells_its_protections(bit: int, data: str) -> None:
    bank = growatt()
    bank[0].set("alarms", 1 << bit)
    frames = said(bank, Dialect.GROWATT)
    assert frames[0x312][:2] == bytes.fromhex(data)
    assert frames[0x323][1:3] == bytes.fromhex(data)


def test_a_growatt_bank_answers_each_request_with_nine_frames_in_180_ms() -> None:
    bus = CanBus(growatt(), Dialect.GROWATT)
    tap = opened(bus)
    bus.advance(10.0)
    assert heard(tap) == []
    assert bus.due() is None
    for second in (10.0, 11.0):
        tap.send(REQUEST, second)
        # A second request while it answers changes nothing.
        tap.send(REQUEST, second + 0.1)
        bus.advance(second + 0.9)
        answer = tap.drain()
        assert [frame.id for _, frame in answer] == GROWATT_ORDER
        assert answer[-1][0] - answer[0][0] == pytest.approx(0.160, abs=0.001)
        assert answer[0][0] - second == pytest.approx(0.020, abs=0.001)


def test_a_growatt_bank_can_speak_unasked() -> None:
    bus = CanBus(growatt(), Dialect.GROWATT, unasked=2.0)
    starts = [time for time, can_id, _, _ in passed(bus, 9.0) if can_id == 0x311]
    gaps = [after - before for before, after in pairwise(starts)]
    assert gaps == pytest.approx([2.0] * 4, abs=0.03)


def test_an_inverter_asks_a_growatt_bank_every_second() -> None:
    bus = CanBus(growatt(), Dialect.GROWATT, inverter=True)
    ids = [can_id for _, can_id, _, _ in passed(bus, 5.0)]
    assert ids[:20] == [0x301, *GROWATT_ORDER] * 2
    assert ids.count(0x301) == 5
    # Nobody is heard by tests but those who send through a tap.
    assert not bus.counts


@pytest.mark.parametrize("dialect", [Dialect.PYLON, Dialect.VICTRON, Dialect.SMA])
def test_an_inverter_says_every_second_that_it_is_there(dialect: Dialect) -> None:
    bus = CanBus(captured(), dialect, inverter=True, patience=2.0)
    messages = passed(bus, 20.0)
    alive = [(time, data) for time, can_id, _, data in messages if can_id == 0x305]
    assert len(alive) == 20
    ids = [can_id for time, can_id, _, _ in messages if time > 15]
    assert {*SCRIPTS[dialect].frames} <= {*ids}
    named = [data for _, can_id, _, data in messages if can_id == 0x307]
    match dialect:
        case Dialect.VICTRON:
            assert {*named} == {bytes.fromhex("1234567856494300")}
            assert len(named) == 20
        case Dialect.SMA:
            assert alive[-1][1] == bytes.fromhex("3B02000027010000")
        case _:
            assert not named
            assert {data for _, data in alive} == {bytes(8)}


def test_a_bank_with_patience_stops_without_keep_alive_and_probes() -> None:
    bus = CanBus(captured(), Dialect.PYLON, patience=5.0)
    times = [time for time, can_id, _, _ in passed(bus, 100.0) if can_id == 0x351]
    early = [time for time in times if time < 8]
    assert len(early) == 7
    assert [after - before for before, after in pairwise([early[-1], *times[7:]])] == (
        pytest.approx([30.7] * 3, abs=0.01)
    )


def test_a_keep_alive_wakes_a_bank_that_has_stopped() -> None:
    bus = CanBus(captured(), Dialect.PYLON, patience=5.0)
    tap = opened(bus)
    bus.advance(20.0)
    heard(tap)
    tap.send(KEEP_ALIVE, 20.0)
    bus.advance(24.5)
    assert len(heard(tap)) == pytest.approx(44, abs=1)
    bus.advance(32.0)
    heard(tap)
    bus.advance(45.0)
    assert heard(tap) == []
    for second in range(45, 60):
        tap.send(KEEP_ALIVE, float(second))
    bus.advance(60.0)
    assert len(heard(tap)) == pytest.approx(149, abs=2)
    assert bus.counts == {0x305: 16}
    assert len(bus.heard) == 16


def test_an_impatient_keep_alive_does_not_disturb_a_cycle() -> None:
    bus = CanBus(captured(), Dialect.PYLON, patience=0.3)
    tap = opened(bus)
    tap.send(KEEP_ALIVE, 0.0)
    bus.advance(0.45)
    tap.send(KEEP_ALIVE, 0.45)
    bus.advance(0.75)
    assert [frame.id for frame in heard(tap)] == PYLON_ORDER


def test_all_frames_of_a_cycle_tell_of_one_moment() -> None:
    bank = captured()
    bus = CanBus(bank, Dialect.VICTRON)
    tap = opened(bus)
    bus.advance(0.2)
    bank[0].set("cell_voltage_1", 3600)
    bus.advance(0.75)
    assert {frame.id: frame.data for frame in heard(tap)}[0x373][2:4] == (
        3573
    ).to_bytes(2, "little")


def test_moving_banks_move() -> None:
    messages = passed(CanBus(parallel_bank(range(3), seed=2), Dialect.PYLON), 120.0)
    assert len({data for _, can_id, _, data in messages if can_id == 0x356}) > 20


def test_a_bank_of_one_battery_has_packs_of_one_size() -> None:
    assert {made.cell_count for made in parallel_bank(range(10))} == {16}
    assert parallel_bank([3, 1]).addresses == [1, 3]


def test_foreign_short_frames_do_not_confuse_an_inverter() -> None:
    bus = CanBus(captured(), Dialect.SMA, inverter=True)
    opened(bus).send(frame_of(0x356, b"\0"), 0.0)
    assert any(can_id == 0x305 for _, can_id, _, _ in passed(bus, 2.0))
