"""The two actions that can be started: what is sent, and what proves it."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from custom_components.jkbms.protocol.commands import (
    ClockJob,
    Command,
    EmergencyJob,
    SetClock,
    StartEmergency,
)
from custom_components.jkbms.protocol.datum import Block, Firmware
from custom_components.jkbms.protocol.errors import InvalidValueError
from custom_components.jkbms.protocol.frames import Frame
from custom_components.jkbms.protocol.layout import Layout
from custom_components.jkbms.protocol.station import Written
from custom_components.jkbms.protocol.write_job import (
    Ask,
    Done,
    Outcome,
    Write,
    WriteResult,
)
from simulator import Writing

from .bus import TRIGGERS, Bus, bus_of, requests
from .helpers import frame_of, pack

FW: Final = Firmware(15, 41)
NOON: Final = datetime(2026, 7, 1, 12, 0, 0)
EPOCH: Final = datetime(2020, 1, 1)


def clock(time: datetime | None) -> Frame:
    seconds = 0 if time is None else int((time - EPOCH).total_seconds())
    return frame_of(pack(rtc=seconds), Block.LIVE)


def emergency(left: int) -> Frame:
    return frame_of(pack(emergency_left=left), Block.LIVE)


def clock_job() -> ClockJob:
    return ClockJob(SetClock(1, NOON, 100.0), Layout.JK02_32S, FW)


def done(bus: Bus, command: Command) -> WriteResult:
    bus.master.submit(command)
    _, event = bus.run_until(
        lambda e: isinstance(e, Written) and e.change is command, limit=30
    )
    assert isinstance(event, Written)
    return event.result


# -- the clock ----------------------------------------------------------------------


def test_the_clock_is_sent_as_the_seconds_since_2020_in_local_time() -> None:
    """A capture of JK's app: 3F 2C 1F 0B over Bluetooth is 2025-11-29 15:11:59."""
    command = SetClock(3, datetime(2025, 11, 29, 15, 11, 59), 50.0)
    request = command.request(50.0)
    assert (request.address, request.register) == (3, 0x1612)
    assert request.data == bytes.fromhex("0B1F2C3F")
    # Time goes on until it is sent.
    assert command.request(51.4).data == bytes.fromhex("0B1F2C40")
    assert request.encode()[:11].hex() == "03101612000204" + "0b1f2c3f"


def test_a_clock_that_was_set_goes_on_from_there() -> None:
    made = clock_job()
    assert made.step() == Ask(Block.LIVE)
    made.answered(clock(NOON - timedelta(hours=1)), 101.0)
    assert made.step() == Write(SetClock(1, NOON, 100.0).request(101.0))
    made.answered(None, 101.2)
    assert made.not_before == pytest.approx(101.6)
    assert made.step() == Ask(Block.LIVE)
    made.answered(clock(NOON + timedelta(seconds=2)), 101.7)
    assert made.result == WriteResult(
        Outcome.PROVEN, NOON - timedelta(hours=1), NOON + timedelta(seconds=2)
    )
    assert made.step() == Done()


@pytest.mark.parametrize("off", [-3, 0, 3])
def test_a_clock_that_is_right_is_not_set(off: int) -> None:
    shown = NOON + timedelta(seconds=1 + off)
    made = clock_job()
    made.answered(clock(shown), 101.0)
    assert made.result == WriteResult(Outcome.PROVEN, shown, shown)


@pytest.mark.parametrize("off", [-4, 4])
def test_a_clock_that_is_more_than_three_seconds_off_is_set(off: int) -> None:
    made = clock_job()
    made.answered(clock(NOON + timedelta(seconds=1 + off)), 101.0)
    assert made.step() == Write(SetClock(1, NOON, 100.0).request(101.0))


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (
            NOON - timedelta(hours=1),
            NOON - timedelta(minutes=59, seconds=59),
            Outcome.IGNORED,
        ),
        (None, None, Outcome.IGNORED),
        (None, NOON, Outcome.PROVEN),
        (NOON - timedelta(hours=1), None, Outcome.CLAMPED),
        (NOON - timedelta(hours=1), NOON - timedelta(minutes=30), Outcome.CLAMPED),
        (NOON + timedelta(hours=1), NOON + timedelta(minutes=50), Outcome.CLAMPED),
    ],
)
def test_what_became_of_a_clock_is_told(
    before: datetime | None, after: datetime | None, outcome: Outcome
) -> None:
    made = clock_job()
    made.answered(clock(before), 100.0)
    made.step()
    made.answered(None, 100.2)
    for now in (100.7, 101.5):
        if made.result is None:
            made.answered(clock(after), now)
    assert made.result == WriteResult(outcome, before, after)


@pytest.mark.parametrize(
    ("gone", "outcome"),
    [(5, Outcome.IGNORED), (6, Outcome.CLAMPED), (60, Outcome.CLAMPED)],
)
def test_a_clock_that_jumped_has_not_just_gone_on(gone: int, outcome: Outcome) -> None:
    """It was read 2 s before, and 3 s more are nothing."""
    before = NOON - timedelta(hours=1)
    made = clock_job()
    made.answered(clock(before), 1000.0)
    made.step()
    made.answered(None, 1000.2)
    for now in (1002.0, 1002.0):
        if made.result is None:
            made.answered(clock(before + timedelta(seconds=gone)), now)
    assert made.result is not None
    assert made.result.outcome is outcome


@pytest.mark.parametrize(
    "local",
    [
        datetime(2020, 1, 1, 23, 59, 59),
        datetime(1999, 1, 1),
        datetime(2156, 2, 6, 6, 28, 16),
        datetime(2026, 7, 1, tzinfo=UTC),
    ],
)
def test_a_time_that_no_clock_can_show_is_refused(local: datetime) -> None:
    with pytest.raises(InvalidValueError):
        SetClock(1, local, 0.0)


@pytest.mark.parametrize(
    ("local", "sent"),
    [
        (datetime(2020, 1, 2), "00015180"),
        # A day before the last second of 32 bits.
        (datetime(2156, 2, 6, 6, 28, 15), "fffeae7f"),
    ],
)
def test_the_first_and_the_last_time_that_can_be_set(
    local: datetime, sent: str
) -> None:
    assert SetClock(1, local, 0.0).request(0.0).data.hex() == sent


@pytest.mark.parametrize("address", [-1, 16])
def test_an_address_beyond_the_dip_switch_has_no_actions(address: int) -> None:
    with pytest.raises(InvalidValueError):
        SetClock(address, NOON, 0.0)
    with pytest.raises(InvalidValueError):
        StartEmergency(address)


def test_the_clock_of_a_simulated_pack_is_set_and_proven() -> None:
    bus = bus_of(1, 2)
    bus.run(10)
    before = bus.raw(2, "rtc")
    result = done(bus, SetClock(1, NOON, bus.now))
    assert result.outcome is Outcome.PROVEN
    assert abs(bus.raw(1, "rtc") - (NOON - EPOCH).total_seconds()) <= 2
    assert bus.raw(2, "rtc") == before
    assert bus.line.bank.dangerous == []
    (entry,) = bus.line.bank[1].journal
    assert entry.register == 0x1612
    # And the pack is shown on, as the same.
    bus.run(10)
    assert bus.master.stations[1].available
    assert not bus.master.stations[1].clashes
    again = done(bus, SetClock(1, NOON + timedelta(hours=9), bus.now))
    assert again.outcome is Outcome.PROVEN


# -- the emergency start ------------------------------------------------------------


def test_an_emergency_start_is_proven_by_its_time() -> None:
    made = EmergencyJob(StartEmergency(4), Layout.JK02_32S, FW)
    made.answered(emergency(0), 1.0)
    step = made.step()
    assert isinstance(step, Write)
    assert step.request.encode()[:9].hex() == "041016100001020000"
    made.answered(None, 1.2)
    made.answered(emergency(1800), 1.7)
    assert made.result == WriteResult(Outcome.PROVEN, 0, 1800)


def test_an_emergency_that_runs_is_not_started_again() -> None:
    made = EmergencyJob(StartEmergency(4), Layout.JK02_32S, FW)
    made.answered(emergency(12), 1.0)
    assert made.result == WriteResult(Outcome.PROVEN, 12, 12)


def test_a_simulated_pack_starts_its_emergency_once() -> None:
    bus = bus_of(1)
    bus.run(5)
    assert done(bus, StartEmergency(1)) == WriteResult(Outcome.PROVEN, 0, 1800)
    assert done(bus, StartEmergency(1)).outcome is Outcome.PROVEN
    assert [w.register for w in bus.line.bank[1].journal] == [0x1610]
    sent = {request.register for _, request in requests(bus)}
    assert sent == TRIGGERS | {0x1610}


@pytest.mark.parametrize("kind", [SetClock, StartEmergency])
def test_a_pack_that_acknowledges_and_does_nothing_is_told(kind: type) -> None:
    bus = bus_of(1)
    bus.run(5)
    bus.line.bank[1].writing = Writing.IGNORE
    command = SetClock(1, NOON, bus.now) if kind is SetClock else StartEmergency(1)
    assert done(bus, command).outcome is Outcome.IGNORED


@pytest.mark.parametrize("kind", [SetClock, StartEmergency])
@pytest.mark.parametrize(
    ("layout", "firmware"),
    [
        (Layout.JK02_32S, Firmware(14, 16)),
        (Layout.JK02_32S, None),
        (Layout.JK02_24S, FW),
        (None, FW),
    ],
)
def test_a_bms_that_may_have_another_action_there_gets_none(
    kind: type, layout: Layout | None, firmware: Firmware | None
) -> None:
    """0x160C and 0x160E were emergency start and clock in V1.0 (rs485.md 2.8)."""
    made: ClockJob | EmergencyJob
    if kind is SetClock:
        made = ClockJob(SetClock(1, NOON, 0.0), layout, firmware)
    else:
        made = EmergencyJob(StartEmergency(1), layout, firmware)
    assert made.result == WriteResult(Outcome.UNSUPPORTED)
