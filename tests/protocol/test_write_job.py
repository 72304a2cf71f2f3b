"""A change from its first read to its proof, and every way in which it may end."""

from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.budget import WriteBudget
from custom_components.jkbms.protocol.datum import Block, Firmware
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.frames import Frame
from custom_components.jkbms.protocol.layout import Layout
from custom_components.jkbms.protocol.write_job import (
    Ask,
    Done,
    Outcome,
    Write,
    WriteJob,
    WriteResult,
)
from custom_components.jkbms.protocol.writing import Change

from .helpers import frame_of, pack

FW: Final = Firmware(15, 41)
OVP: Final = Change(1, BY_KEY["cell_ovp"], 3.6)


def settings(**raw: Any) -> Frame:
    return frame_of(pack(**raw), Block.SETTINGS)


BEFORE: Final = settings(cell_ovp=3650)
AFTER: Final = settings(cell_ovp=3600)


def ended(made: WriteJob) -> bool:
    return made.result is not None


def job(change: Change = OVP) -> WriteJob:
    return WriteJob(change, Layout.JK02_32S, FW)


def read(change: Change = OVP, frame: Frame = BEFORE) -> WriteJob:
    """Return a job that has read the register and is about to write."""
    made = job(change)
    assert made.step() == Ask(change.field.block)
    made.answered(frame, 10.0)
    return made


def written(change: Change = OVP, frame: Frame = BEFORE) -> WriteJob:
    """Return a job whose write was acknowledged."""
    made = read(change, frame)
    assert isinstance(made.step(), Write)
    made.answered(None, 11.0)
    return made


def test_a_change_is_read_written_and_read_back() -> None:
    made = job()
    assert made.step() == Ask(Block.SETTINGS)
    made.answered(BEFORE, 10.0)
    assert made.step() == Write(OVP.request(bytes(4)))
    made.answered(None, 11.0)
    # The value shows 0.4 s after its ACK at the earliest (rs485.md 2.9).
    assert made.not_before == pytest.approx(11.4)
    assert made.step() == Ask(Block.SETTINGS)
    assert not ended(made)
    made.answered(AFTER, 11.5)
    assert made.result == WriteResult(Outcome.PROVEN, 3.65, 3.6)
    assert made.step() == Done()


def test_what_is_already_so_is_not_written() -> None:
    made = read(frame=AFTER)
    assert made.result == WriteResult(Outcome.PROVEN, 3.6, 3.6)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(2, Outcome.REFUSED_REGISTER), (3, Outcome.REFUSED_VALUE)],
)
def test_a_refusal_says_why(code: int, outcome: Outcome) -> None:
    made = read()
    made.step()
    made.refused(code)
    assert made.result == WriteResult(outcome, 3.65, 3.65, code)


@pytest.mark.parametrize("code", [1, 4, 6, 10, 11])
def test_another_exception_is_believed_when_the_value_says_so(code: int) -> None:
    """It may be a gateway's, and late: the write may have been made."""
    made = read()
    made.step()
    made.refused(code)
    assert made.step() == Ask(Block.SETTINGS)
    made.answered(BEFORE, 11.0)
    assert not ended(made)
    made.answered(BEFORE, 12.0)
    assert made.result == WriteResult(Outcome.REFUSED, 3.65, 3.65, code)
    made = read()
    made.step()
    made.refused(code)
    made.answered(AFTER, 11.0)
    assert made.result == WriteResult(Outcome.PROVEN, 3.65, 3.6)


def test_a_second_write_keeps_what_others_changed_since_the_first() -> None:
    change = Change(1, BY_KEY["heater"], True)
    made = read(change, settings(function_word=0x3200))
    first = made.step()
    made.unanswered(11.0)
    made.answered(settings(function_word=0x3040), 11.5)
    second = made.step()
    assert isinstance(first, Write)
    assert isinstance(second, Write)
    assert (first.request.data.hex(), second.request.data.hex()) == ("3201", "3041")
    made.answered(None, 12.0)
    made.answered(settings(function_word=0x3041), 12.5)
    assert made.result == WriteResult(Outcome.PROVEN, False, True)


def test_what_no_longer_fits_the_other_settings_is_not_written() -> None:
    """It was judged by what the BMS had then; its owner's app has changed that since."""
    made = read(frame=settings(cell_ovp=3650, cell_ovpr=3620, rcv=3500))
    result = made.result
    assert result is not None
    assert (result.outcome, result.before, result.found) == (
        Outcome.BROKEN_RULE,
        3.65,
        3.65,
    )
    (violation,) = result.violations
    assert violation.other is BY_KEY["cell_ovpr"]
    assert violation.limit == 3.62
    assert made.step() == Done()


def test_a_register_that_was_written_too_often_is_left_alone() -> None:
    budget = WriteBudget(per_hour=60, burst=1)
    budget.spend(1, 0x100C, 0.0)
    made = WriteJob(OVP, Layout.JK02_32S, FW, budget=budget)
    made.answered(BEFORE, 10.0)
    assert made.result == WriteResult(Outcome.TOO_OFTEN, 3.65, 3.65, None, 60.0)
    # What is so already costs nothing, and after a while it is possible.
    for frame, now in ((AFTER, 10.0), (BEFORE, 60.0)):
        made = WriteJob(OVP, Layout.JK02_32S, FW, budget=budget)
        made.answered(frame, now)
        assert made.step() == (Done() if frame is AFTER else Write(OVP.request(b"")))


def test_a_write_that_is_acknowledged_and_ignored_is_looked_at_twice() -> None:
    made = written()
    made.step()
    made.answered(BEFORE, 11.5)
    assert not ended(made)
    assert made.not_before == pytest.approx(12.3)
    assert made.step() == Ask(Block.SETTINGS)
    made.answered(BEFORE, 12.4)
    assert made.result == WriteResult(Outcome.IGNORED, 3.65, 3.65)


def test_a_value_that_shows_only_at_the_second_look_is_proven() -> None:
    made = written()
    made.answered(BEFORE, 11.5)
    made.answered(AFTER, 12.4)
    assert made.result == WriteResult(Outcome.PROVEN, 3.65, 3.6)


def test_another_value_than_wanted_was_clamped() -> None:
    made = written()
    made.answered(settings(cell_ovp=3620), 11.5)
    assert made.result == WriteResult(Outcome.CLAMPED, 3.65, 3.62)


def test_a_write_without_an_ack_may_have_been_heard() -> None:
    made = read()
    made.step()
    made.unanswered(11.0)
    assert made.not_before == pytest.approx(11.4)
    assert made.step() == Ask(Block.SETTINGS)
    made.answered(AFTER, 11.5)
    assert made.result == WriteResult(Outcome.PROVEN, 3.65, 3.6)


def test_a_write_that_was_not_heard_is_sent_once_more_and_no_oftener() -> None:
    made = read()
    for _ in range(2):
        assert isinstance(made.step(), Write)
        made.unanswered(11.0)
        assert not ended(made)
        assert made.step() == Ask(Block.SETTINGS)
        made.answered(BEFORE, 11.5)
    assert made.result == WriteResult(Outcome.UNANSWERED, 3.65, 3.65)
    assert made.step() == Done()


def test_the_second_write_may_be_heard() -> None:
    made = read()
    made.step()
    made.unanswered(11.0)
    made.answered(BEFORE, 11.5)
    assert isinstance(made.step(), Write)
    made.answered(None, 12.0)
    made.answered(AFTER, 12.5)
    assert made.result == WriteResult(Outcome.PROVEN, 3.65, 3.6)


def test_a_bms_that_cannot_be_read_before_is_unreachable() -> None:
    made = job()
    for _ in range(3):
        assert not ended(made)
        assert made.step() == Ask(Block.SETTINGS)
        made.unanswered(10.0)
    assert made.result == WriteResult(Outcome.UNREACHABLE)


def test_a_frame_that_cannot_be_believed_is_asked_for_again() -> None:
    made = job()
    made.answered(None, 10.0)
    made.answered(None, 10.2)
    made.answered(BEFORE, 10.4)
    assert isinstance(made.step(), Write)


def test_a_read_that_is_refused_is_asked_for_again() -> None:
    made = job()
    for _ in range(3):
        made.refused(2)
    assert made.result == WriteResult(Outcome.UNREACHABLE)


def test_a_bms_that_cannot_be_read_after_leaves_it_unproven() -> None:
    made = written()
    for _ in range(3):
        assert not ended(made)
        made.unanswered(12.0)
    assert made.result == WriteResult(Outcome.UNPROVEN, 3.65)


def test_reads_before_do_not_count_for_those_after() -> None:
    made = job()
    made.unanswered(1.0)
    made.unanswered(2.0)
    made.answered(BEFORE, 3.0)
    made.step()
    made.answered(None, 4.0)
    made.unanswered(5.0)
    made.unanswered(6.0)
    assert not ended(made)
    made.answered(AFTER, 7.0)
    assert made.result == WriteResult(Outcome.PROVEN, 3.65, 3.6)


def test_an_abandoned_change_tells_how_far_it_came() -> None:
    assert job().abandon() == WriteResult(Outcome.UNREACHABLE)
    assert read().abandon() == WriteResult(Outcome.UNREACHABLE, 3.65)
    assert written().abandon() == WriteResult(Outcome.UNPROVEN, 3.65)
    done = written()
    done.answered(AFTER, 12.0)
    assert done.abandon() == WriteResult(Outcome.PROVEN, 3.65, 3.6)


@pytest.mark.parametrize(
    ("key", "value", "layout", "firmware", "supported"),
    [
        ("cell_ovp", 3.6, Layout.JK02_32S, FW, True),
        ("cell_ovp", 3.6, Layout.JK02_32S, None, True),
        ("cell_ovp", 3.6, Layout.JK02_24S, FW, False),
        ("cell_ovp", 3.6, None, FW, False),
        ("discharge_utp", -10, Layout.JK02_32S, FW, False),
        ("discharge_utp", -10, Layout.JK02_32S, Firmware(19, 27), True),
        ("cell_request_charge_voltage", 3.4, Layout.JK02_32S, Firmware(14, 3), False),
        ("heating_start_temperature", 0, Layout.JK02_32S, FW, True),
        ("heating_start_temperature", 0, Layout.JK02_32S, Firmware(14, 20), False),
        ("heating_start_temperature", 0, Layout.JK02_32S, None, False),
        ("battery_overtemp_alarm", 60, Layout.JK02_32S, Firmware(14, 20), True),
        ("battery_overtemp_alarm", 60, Layout.JK02_32S, FW, False),
    ],
)
def test_what_a_bms_does_not_have_beyond_doubt_is_not_written(
    key: str,
    value: float,
    layout: Layout | None,
    firmware: Firmware | None,
    supported: bool,
) -> None:
    made = WriteJob(Change(1, BY_KEY[key], value), layout, firmware)
    if supported:
        assert made.step() == Ask(BY_KEY[key].block)
    else:
        assert made.step() == Done()
        assert made.result == WriteResult(Outcome.UNSUPPORTED)


def test_a_bit_is_written_into_the_word_as_it_is_now() -> None:
    change = Change(1, BY_KEY["heater"], True)
    made = read(change, settings(function_word=0xB2C0))
    step = made.step()
    assert isinstance(step, Write)
    assert step.request.data == bytes.fromhex("B2C1")
    made.answered(None, 11.0)
    made.answered(settings(function_word=0xB2C1), 11.5)
    assert made.result == WriteResult(Outcome.PROVEN, False, True)


def test_a_neighbour_that_somebody_changed_meanwhile_does_not_matter() -> None:
    made = written(Change(1, BY_KEY["heater"], True), settings(function_word=0x3200))
    made.answered(settings(function_word=0x3301), 11.5)
    assert made.result == WriteResult(Outcome.PROVEN, False, True)
    made = written(Change(1, BY_KEY["heater"], True), settings(function_word=0x3200))
    made.answered(settings(function_word=0x3300), 11.5)
    made.answered(settings(function_word=0x3300), 12.5)
    assert made.result == WriteResult(Outcome.IGNORED, False, False)


def test_a_setting_of_the_device_block_is_read_there() -> None:
    change = Change(1, BY_KEY["cell_request_float_time"], 2.0)
    made = job(change)
    assert made.step() == Ask(Block.DEVICE)
    made.answered(frame_of(pack(rcv_time=10, rfv_time=240), Block.DEVICE), 10.0)
    step = made.step()
    assert isinstance(step, Write)
    assert step.request.data == bytes((10, 20))
