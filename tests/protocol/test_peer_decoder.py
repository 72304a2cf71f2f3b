"""Another project's decoder reads the same frames: simulator and decoder share no mistake."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.codecs import Value
from custom_components.jkbms.protocol.datum import Block, Firmware
from custom_components.jkbms.protocol.derived import cells, derive
from custom_components.jkbms.protocol.fields import SOFTWARE_VERSION
from custom_components.jkbms.protocol.layout import (
    FRAME_HEAD,
    Layout,
    decode_block,
    recognise,
)
from custom_components.jkbms.protocol.state import BmsState
from scripts.lib.bench.peer import PACKAGE, Peer, peer
from simulator import Pack, trios

from ..captures import frames
from .helpers import SIMULATED, frame_of

_KINDS: Final = range(len(trios()))
_PHASES: Final = ("bulk", "absorption", "float")
_SENSED: Final = (
    "power_tube_temperature",
    "temperature_sensor_1",
    "temperature_sensor_2",
    "mos_temperature_mirror",
    "temperature_sensor_4",
    "temperature_sensor_5",
)
_SENSED_24S: Final = (*_SENSED[1:3], _SENSED[0])
"""In the order in which it lists them; the bit of each in the mask is its place."""
_EXACT: Final = {
    "voltage": "total_voltage",
    "current": "current",
    "balance_current": "balancing_current",
    "battery_level": "state_of_charge",
    "cycle_charge": "capacity_remaining",
    "cycles": "charging_cycles",
    "battery_health": "state_of_health",
    "chrg_mosfet": "charging",
    "dischrg_mosfet": "discharging",
    "delta_voltage": "bms_delta_cell_voltage",
    "balancer": "balancing",
}
_ONLY_32S: Final = {"heater": "heating", "heater_current": "heating_current"}
"""Of 24-cell boards nobody has shown where these are (ble.md 5.1)."""
pytest.importorskip(
    PACKAGE, reason=f"{PACKAGE} of requirements_test.txt is not installed"
)


def decoder(version: int) -> Peer:
    """Return it, for a software version."""
    made = peer(version)
    assert made is not None
    return made


def compared(theirs: Mapping[str, Any], ours: Mapping[str, Value], major: int) -> None:
    """Assert that every value that both have is the same."""
    told = dict(theirs)
    new = major >= 11
    assert told.pop("cell_voltages") == list(cells(ours).values())
    assert told.pop("cell_count") == len(cells(ours))
    for name, key in (_EXACT | (_ONLY_32S if new else {})).items():
        assert told.pop(name) == ours[key], name
    # It has no use for less than an ampere hour.
    full: Any = ours["full_charge_capacity"]
    assert told.pop("design_capacity") == int(full)
    word: Any = ours["alarm_bitmask"]
    assert told.pop("problem_code") == word & 0xFFFF
    if new:
        assert told.pop("temp_sensors") == ours["sensor_presence"]
    if major >= 15:
        phase = ours["charge_status"]
        assert told.pop("battery_mode") in (
            (_PHASES.index(phase),) if isinstance(phase, str) else (-1,)
        )
    mask: Any = theirs["temp_sensors"]
    sensed = _SENSED if new else _SENSED_24S
    wanted = [
        ours[key]
        for bit, key in enumerate(sensed[: 6 if major >= 14 else 4])
        if mask >> bit & 1 and ours[key] is not None
    ]
    assert [sensor.value for sensor in told.pop("temp_values")] == wanted
    assert told.keys() <= (set() if new else {"temp_sensors", *_ONLY_32S})


@pytest.mark.parametrize("kind", _KINDS)
def test_it_reads_frames_of_the_simulator_as_we_do(kind: int) -> None:
    simulated = Pack(trios()[kind], 1, seed=kind)
    state = BmsState()
    assert state.take_frame(frame_of(simulated, Block.DEVICE), Block.DEVICE, 0.0)
    version = state.get(SOFTWARE_VERSION)
    firmware = Firmware.parse(version)
    assert firmware is not None
    other = decoder(firmware.major)
    taken = 0
    for second in range(0, 4000, 40):
        simulated.advance(float(second))
        frame = frame_of(simulated, Block.LIVE)
        taken += state.take_frame(frame, Block.LIVE, float(second)) is not None
        values = decode_block(
            frame.data, Block.LIVE, firmware=firmware, offset=FRAME_HEAD
        )
        compared(other.decode(frame.data), values | derive(values), firmware.major)
    compared(other.decode(state.frames[Block.LIVE]), state.values, firmware.major)
    assert taken > 90


@pytest.mark.parametrize("kind", _KINDS)
def test_what_follows_from_the_values_is_the_same(kind: int) -> None:
    simulated = Pack(trios()[kind], 1, seed=kind)
    simulated.advance(30.0)
    frame = simulated.frame(SIMULATED[Block.LIVE])
    values: dict[str, Any] = decode_block(frame, Block.LIVE, offset=FRAME_HEAD)
    told = decoder(14).complete(frame)
    derived = derive(values)
    assert told["power"] == pytest.approx(derived["power"], abs=0.001)
    assert told["battery_charging"] is (values["current"] > 0)
    assert told["problem"] is bool(told["problem_code"])


def test_it_reads_captured_frames_as_we_do() -> None:
    read = 0
    for capture in frames():
        frame = capture.data[:300]
        layout = recognise(frame) if len(frame) == 300 and frame[4] == 2 else None
        if layout in (None, Layout.JK04) or not capture.checksum_ok:
            continue
        firmware = Firmware.parse(capture.firmware)
        major = 14 if layout is Layout.JK02_32S else 10
        if firmware is not None and firmware.major < 14:
            major = firmware.major
        values = decode_block(frame, Block.LIVE, layout, offset=FRAME_HEAD)
        compared(decoder(major).decode(frame), values | derive(values), major)
        read += 1
    assert read > 30


def test_a_frame_with_a_wrong_sum_is_read_by_neither() -> None:
    frame = bytearray(frame_of(Pack(trios()[0], 1), Block.LIVE).data)
    frame[20] ^= 1
    with pytest.raises(ValueError, match="sum"):
        decoder(15).decode(bytes(frame))
