"""The native frames against the vendor's examples and what was captured."""

import pytest

from simulator import Bank
from simulator.can import Version, frames_of, signals
from simulator.can.native import KINDS, Name
from simulator.can.signals import Alarm

from . import pack

# Unused bytes, which the documents call "don't care", are zero here as in the captures.
MADE = [
    (
        "V1.02 6.1",
        Version.V1,
        {
            "pack_voltage": 27_500,
            "current": -56_700,
            "soc": 51,
            "remaining_capacity": 5_670_000,
        },
        {0x02F4: "1301D71133006400"},
    ),
    (
        "V1.02 7.2",
        Version.V1,
        {
            "pack_voltage": 22_500,
            "current": -23_400,
            "soc": 16,
            "remaining_capacity": 0,
        },
        {0x02F4: "E1008A1010000000"},
    ),
    (
        "V2.1 6.1",
        Version.V2,
        {"pack_voltage": 27_500, "current": 56_700, "soc": 51},
        {0x02F4: "1301D71133000000"},
    ),
    (
        "V2.1 6.2",
        Version.V2,
        {
            "highest_cell": 4,
            "cell_voltage_5": 2700,
            "lowest_cell": 7,
            "cell_voltage_8": 2450,
        },
        {0x04F4: "8C0A059209080000"},
    ),
    (
        "captured, 2 x 16S 280 Ah",
        Version.V2,
        {
            "pack_voltage": 53_130,
            "current": 1_800,
            "soc": 81,
            "highest_cell": 5,
            "cell_voltage_6": 3327,
            "lowest_cell": 0,
            "cell_voltage_1": 3324,
            "temperature_1": 220,
            "temperature_2": 220,
            "remaining_capacity": 227_300,
            "full_capacity": 280_000,
            "cycled_capacity": 3_287_500 + 2 * 6_553_600,
            "cycles": 35,
        },
        {
            0x02F4: "1302B20F51000000",
            0x04F4: "FF0C06FC0C010000",
            0x05F4: "4801480048000000",
            0x18F128F4: "E108F00A6B802300",
        },
    ),
    (
        "captured, B2A8S",
        Version.V2,
        {
            "remaining_capacity": 279_800,
            "full_capacity": 280_000,
            "cycled_capacity": 933_900,
            "cycles": 3,
        },
        {0x18F128F4: "EE0AF00A7B240300"},
    ),
    (
        "captured, PB 15.38",
        Version.V2,
        {
            "remaining_capacity": 39_500,
            "full_capacity": 40_000,
            "cycled_capacity": 9_000,
            "cycles": 0,
            "temperature_1": 230,
            "temperature_2": 230,
            "mos_temperature": 240,
            "temperature_4": 230,
            "temperature_5": 230,
            "run_time": 950_920,
            "soh": 100,
            "rcv": 3600,
            "charge_current_limit": 95_000,
        },
        {
            0x05F4: "4901490049000000",
            0x18F128F4: "8B0190015A000000",
            0x18F228F4: "1049494A49490000",
            0x18F428F4: "88820E0000006400",
            0x18F528F4: "2300000000000000",
            0x1806E5F4: "024003B600000000",
        },
    ),
    (
        "V2.1 6.8 to 7.2",
        Version.V2,
        {
            "run_time": 200,
            "heater_current": 2600,
            "soh": 100,
            "discharge_mos": 0,
            "balancer_state": 1,
            "heater": 1,
            "charger_plugged": 1,
            "cell_voltage_1": 3757,
            "cell_voltage_2": 3755,
            "cell_voltage_3": 3747,
            "cell_voltage_4": 3750,
            "cell_voltage_5": 3756,
            "cell_voltage_6": 3756,
            "cell_voltage_7": 3748,
            "cell_voltage_8": 3751,
        },
        {
            0x18F428F4: "C8000000280A6400",
            0x18F528F4: "3D00000000000000",
            0x18E028F4: "AD0EAB0EA30EA60E",
            0x18E128F4: "AC0EAC0EA40EA70E",
        },
    ),
]


@pytest.mark.parametrize(
    ("version", "values", "expected"),
    [row[1:] for row in MADE],
    ids=[row[0] for row in MADE],
)
def test_a_pack_with_the_values_of_an_example_sends_its_bytes(
    version: Version, values: dict[str, int], expected: dict[int, str]
) -> None:
    sent = {
        frame.id: frame.data.hex().upper()
        for frames in frames_of(pack(**values), version).values()
        for frame in frames
    }
    assert {can_id: sent[can_id] for can_id in expected} == expected


def test_a_signed_example_says_the_same_in_both_versions() -> None:
    charging = {"millivolts": 27_500, "soc": 51}
    old = signals.batt_st1(Version.V1, milliamperes=-56_700, **charging)
    new = signals.batt_st1(Version.V2, milliamperes=56_700, **charging)
    assert old[:5] == new[:5]


@pytest.mark.parametrize(
    ("levels", "data"),
    [
        (
            {
                Alarm.CELL_OVER_VOLTAGE: 3,
                Alarm.PACK_UNDER_VOLTAGE: 1,
                Alarm.SOC_LOW: 2,
            },
            "4300200000000000",
        ),
        ({Alarm.SOC_LOW: 3}, "0000300000000000"),
        ({Alarm.HOT: 3, Alarm.COLD: 3}, "00C0030000000000"),
        ({Alarm.CELL_OVER_VOLTAGE: 3, Alarm.SOC_LOW: 2}, "0300200000000000"),
        (
            {Alarm.CELL_OVER_VOLTAGE: 3, Alarm.CELL_UNDER_VOLTAGE: 3},
            "0F00000000000000",
        ),
    ],
    ids=["V1.02 6.4", "V1.02 SOC", "V1.02 temperatures", "V2.1 6.4", "V1.02 7.3"],
)
def test_alarm_levels_have_the_places_of_the_examples(
    levels: dict[Alarm, int], data: str
) -> None:
    assert signals.alm_info(levels) == bytes.fromhex(data)


def test_the_temperature_examples_are_coded_byte_for_byte() -> None:
    assert signals.cell_temp((220, 6), (-30, 1), 130) == bytes.fromhex(
        "48062F013F000000"
    )
    assert signals.all_temp([220, 210, 300, None, None], mask=7) == bytes.fromhex(
        "07484750FFFF0000"
    )


def test_the_fault_example_is_coded_bit_for_bit() -> None:
    alarms = sum(1 << bit for bit in (1, 12, 13, 16))
    assert signals.bmserr_info(alarms) == bytes.fromhex("0230010000000000")
    assert signals.bmserr_info(1 << 19) == bytes(8)


def test_the_charger_examples_are_big_endian() -> None:
    assert signals.chg_info(millivolts=84_000, milliamperes=20_000) == bytes.fromhex(
        "034800C800000000"
    )
    assert signals.chg_info(millivolts=67_000, milliamperes=38_000) == bytes.fromhex(
        "029E017C00000000"
    )
    assert signals.chg_info(
        millivolts=67_000, milliamperes=38_000, off=True, heat=True
    ) == bytes.fromhex("029E017C01010000")


@pytest.mark.parametrize(
    ("tenths", "byte"),
    [(None, 0xFF), (-500, 0), (-600, 0), (0, 50), (254, 75), (2040, 254), (9999, 254)],
)
def test_a_temperature_is_a_byte_and_never_that_of_an_absent_probe(
    tenths: float | None, byte: int
) -> None:
    assert signals.all_temp([tenths])[1] == byte


def test_values_too_large_for_their_bytes_stay_at_the_end() -> None:
    assert signals.batt_st1(
        Version.V2, millivolts=9_000_000, milliamperes=-900_000, soc=100
    ) == bytes.fromhex("FFFF000064000000")
    assert signals.bms_info(seconds=1, heating=-5, soh=99)[4:7] == bytes([0, 0, 99])


@pytest.mark.parametrize("count", range(1, 26))
def test_each_cell_is_in_its_place_for_every_number_of_cells(count: int) -> None:
    frames = signals.cellvol(range(3001, 3001 + count))
    assert len(frames) == -(-count // 4)
    values = [
        int.from_bytes(frame[place : place + 2], "little")
        for frame in frames
        for place in range(0, 8, 2)
    ]
    assert values[:count] == [*range(3001, 3001 + count)]
    assert not any(values[count:])


def test_no_more_than_25_cells_are_sent() -> None:
    assert len(signals.cellvol(range(3000, 3032))) == 7
    made = pack(cell_presence=0xFFFFFFFF)
    assert [frame.id for frame in frames_of(made)[Name.CELLVOL]] == [
        0x18E028F4 + place * 0x10000 for place in range(7)
    ]


def test_a_25th_cell_is_alone_in_its_frame() -> None:
    made = pack(cell_presence=(1 << 25) - 1, cell_voltage_25=3456)
    last = frames_of(made)[Name.CELLVOL][-1]
    assert (last.id, last.data) == (0x18E628F4, bytes.fromhex("800D000000000000"))


def test_an_absent_probe_is_ff_and_none_of_the_extremes() -> None:
    made = pack(temperature_1=-2000, temperature_2=154, temperature_4=-2000)
    sent = frames_of(made)
    assert sent[Name.ALL_TEMP][0].data[1:5] == bytes([0xFF, 65, 70, 0xFF])
    assert sent[Name.CELL_TEMP][0].data == bytes([65, 1, 65, 1, 65, 0, 0, 0])
    made.set("temperature_2", -2000)
    assert frames_of(made)[Name.CELL_TEMP][0].data == bytes(
        [0xFF, 0, 0xFF, 0, 0xFF, 0, 0, 0]
    )


def test_a_pack_without_alarms_sends_no_alarm_frames() -> None:
    sent = frames_of(pack(alarms=1 << 19))
    assert not sent[Name.ALM_INFO]
    assert not sent[Name.BMSERR_INFO]


def test_a_protection_is_a_serious_alarm_and_a_fault_bit() -> None:
    sent = frames_of(pack(alarms=1 << 11 | 1 << 12))
    assert sent[Name.ALM_INFO][0].data == bytes.fromhex("0400000000000000")
    assert sent[Name.BMSERR_INFO][0].data == bytes.fromhex("0018000000000000")
    old = frames_of(pack(alarms=1 << 11 | 1 << 12), Version.V1)
    assert old[Name.ALM_INFO][0].data == bytes.fromhex("4400000000000000")


def test_a_fault_without_a_level_is_in_the_fault_frame_only() -> None:
    sent = frames_of(pack(alarms=1))
    assert not sent[Name.ALM_INFO]
    assert sent[Name.BMSERR_INFO][0].data[0] == 1


@pytest.mark.parametrize("address", range(16))
def test_the_address_is_added_to_each_id_that_exists(address: int) -> None:
    sent = frames_of(pack(address, alarms=1 << 4))
    for name, kind in KINDS.items():
        ids = [frame.id for frame in sent[name]]
        if kind.extended or address <= 11:
            assert ids[0] == kind.id + address
            assert sent[name][0].extended == kind.extended
            assert [can_id - ids[0] for can_id in ids] == [
                place * 0x10000 for place in range(len(ids))
            ]
        else:
            assert ids == []


def test_version_1_has_four_frames() -> None:
    assert {*frames_of(pack(alarms=1 << 4), Version.V1)} == {
        Name.BATT_ST1,
        Name.CELL_VOLT,
        Name.CELL_TEMP,
        Name.ALM_INFO,
    }


def test_every_captured_kind_of_pack_has_all_its_frames() -> None:
    for made in Bank.default(range(12), still=True):
        sent = frames_of(made)
        assert all(len(frame.data) == 8 for frames in sent.values() for frame in frames)
        assert len(sent[Name.CELLVOL]) == -(-made.cell_count // 4)


def test_a_pack_that_charges_has_no_time_left_to_tell() -> None:
    sent = frames_of(pack(current=5000), Version.V1)[Name.BATT_ST1][0]
    assert sent.data[6:] == bytes(2)
    assert int.from_bytes(sent.data[2:4], "little") == 4000 - 50
