"""Several settings changed together: all of them, or as it was before."""

from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.budget import WriteBudget
from custom_components.jkbms.protocol.datum import ALL_BLOCKS, Block, Firmware
from custom_components.jkbms.protocol.errors import InvalidValueError
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.frames import Frame, trigger
from custom_components.jkbms.protocol.layout import Layout
from custom_components.jkbms.protocol.learnt import LearntLimits, Refused
from custom_components.jkbms.protocol.rules import Rule
from custom_components.jkbms.protocol.settings_job import (
    FieldResult,
    SettingsJob,
    SettingsReport,
    Transaction,
)
from custom_components.jkbms.protocol.station import Settled
from custom_components.jkbms.protocol.write_job import Ask, Done, Outcome, Write
from custom_components.jkbms.protocol.writing import Change, Wish
from simulator import Pack

from .bus import Bus, bus_of
from .helpers import SIMULATED, pack

FW: Final = Firmware(15, 41)
MOVED: Final[dict[str, Wish]] = {
    "cell_ovpr": 3.60,
    "cell_ovp": 3.70,
    "cell_request_charge_voltage": 3.65,
}
"""Three settings none of which may go first but the middle one."""
BEFORE: Final = {
    "cell_ovp": 3650,
    "cell_ovpr": 3550,
    "rcv": 3550,
    "rfv": 3350,
    "soc_100_voltage": 3500,
    "soc_0_voltage": 2600,
    "balance_start_voltage": 3300,
}


def together(
    address: int = 1, model: str | None = None, /, **values: Wish
) -> Transaction:
    return Transaction(
        tuple(Change(address, BY_KEY[key], value) for key, value in values.items()),
        model,
    )


class Played:
    """A job against a pack without a bus, every step by hand."""

    def __init__(self, transaction: Transaction, **raw: Any) -> None:
        """Begin, with some raw values of the pack changed."""
        self.pack: Pack = pack(**{**BEFORE, **raw})
        self.job = SettingsJob(transaction, Layout.JK02_32S, FW, known=ALL_BLOCKS)
        self.now = 100.0
        self.writes: list[int] = []
        """The registers in the order in which they were written."""

    def turn(
        self, *, ignored: bool = False, lost: bool = False, code: int | None = None
    ) -> None:
        """Let one step happen, or go wrong."""
        self.now = max(self.now + 0.1, self.job.not_before)
        match self.job.step():
            case Ask(block) if not lost:
                self.job.answered(Frame(self.pack.frame(SIMULATED[block])), self.now)
            case Write(request) if code is None:
                self.writes.append(request.register)
                if not ignored:
                    self.pack.write(request.register, request.data, self.now)
                if lost:
                    self.job.unanswered(self.now)
                else:
                    self.job.answered(None, self.now)
            case Write():
                assert code is not None
                self.job.refused(code)
            case step:
                assert step != Done()
                self.job.unanswered(self.now)

    def until_write(self, count: int) -> None:
        """Go on until the next step is that write."""
        while len(self.writes) < count - 1 or not self.writes_next:
            self.turn()

    @property
    def writes_next(self) -> bool:
        writing = self.job._step  # noqa: SLF001  # a step asked for is a step taken
        return writing is not None and writing._phase == "write"  # noqa: SLF001

    def finish(self, **how: Any) -> SettingsReport:
        turns = 0
        while self.job.report is None:
            self.turn(**how)
            turns += 1
            assert turns < 100
        assert self.job.step() == Done()
        assert self.job.abandon() is self.job.report
        return self.job.report


def told(report: SettingsReport) -> dict[str, tuple[Any, ...]]:
    return {
        r.change.field.key: (r.outcome, r.before, r.found, r.rolled_back)
        for r in report.results
    }


def settled(bus: Bus, transaction: Transaction) -> SettingsReport:
    bus.master.submit(transaction)
    _, event = bus.run_until(
        lambda e: isinstance(e, Settled) and e.transaction is transaction, limit=60
    )
    assert isinstance(event, Settled)
    return event.report


# -- what goes well -----------------------------------------------------------------


def test_settings_are_written_one_by_one_in_their_order_and_proven() -> None:
    played = Played(together(**MOVED))
    report = played.finish()
    assert report.proven
    assert report.violations == ()
    assert played.writes == [0x100C, 0x1020, 0x1010]
    assert told(report) == {
        "cell_ovpr": (Outcome.PROVEN, 3.55, 3.6, None),
        "cell_ovp": (Outcome.PROVEN, 3.65, 3.7, None),
        "cell_request_charge_voltage": (Outcome.PROVEN, 3.55, 3.65, None),
    }
    assert [r.wanted for r in report.results] == [3.6, 3.7, 3.65]
    assert {r.change.field.key for r in report.left_changed} == set(MOVED)


def test_what_is_so_already_is_not_written() -> None:
    played = Played(together(cell_ovp=3.65, cell_ovpr=3.54))
    report = played.finish()
    assert report.proven
    assert played.writes == [0x1010]
    assert [r.change.field.key for r in report.left_changed] == ["cell_ovpr"]


def test_settings_of_both_blocks_go_together() -> None:
    played = Played(together(data_stored_period=60, cell_ovp=3.7, heater=True))
    assert played.finish().proven
    assert sorted(played.writes) == [0x100C, 0x1114, 0x1500]


def test_a_block_that_was_not_read_before_is_read_twice() -> None:
    job = SettingsJob(together(cell_ovp=3.7), Layout.JK02_32S, FW)
    frame = Frame(pack(**BEFORE).frame(SIMULATED[Block.SETTINGS]))
    for _ in range(2):
        assert job.step() == Ask(Block.SETTINGS)
        job.answered(frame, 1.0)
    # Then the change reads its register itself.
    assert job.step() == Ask(Block.SETTINGS)
    job.answered(frame, 1.0)
    assert isinstance(job.step(), Write)


# -- what is not begun --------------------------------------------------------------


def test_settings_that_do_not_fit_what_the_bms_has_are_not_begun() -> None:
    played = Played(together(cell_ovp=3.7, cell_ovpr=3.68), rcv=3690)
    assert played.finish().proven
    played = Played(together(cell_ovpr=3.6), cell_ovp=3580)
    report = played.finish()
    assert [v.rule for v in report.violations] == [Rule.ORDER]
    assert told(report) == {"cell_ovpr": (None, 3.55, 3.55, None)}
    assert not report.proven
    assert report.left_changed == ()
    assert played.writes == []


def test_model_and_learnt_limits_are_kept_to() -> None:
    played = Played(together(1, "JK_PB2A16S20P", max_charge_current=201))
    assert [v.rule for v in played.finish().violations] == [Rule.MODEL]
    learnt = LearntLimits(None, {"charge_ocp_delay": Refused(high=100)})
    change = Change(1, BY_KEY["charge_ocp_delay"], 150)
    played = Played(Transaction((change,), learnt=learnt))
    assert [v.rule for v in played.finish().violations] == [Rule.LEARNT]


def test_one_setting_that_the_bms_cannot_have_keeps_all_from_being_written() -> None:
    played = Played(together(cell_ovp=3.7, discharge_utp=-10))
    report = played.finish()
    assert told(report) == {
        "cell_ovp": (None, None, None, None),
        "discharge_utp": (Outcome.UNSUPPORTED, None, None, None),
    }
    assert played.writes == []


def test_one_register_that_was_written_too_often_keeps_all_from_being_written() -> None:
    budget = WriteBudget(per_hour=60, burst=1)
    for register in (0x1010, 0x1014):
        budget.spend(1, register, 100.0)
    played = Played(together(cell_ovp=3.7, cell_ovpr=3.6, balance_trigger_voltage=0.01))
    played.pack.set("balance_trigger", 10)
    played.job._budget = budget  # noqa: SLF001  # the one of a master otherwise
    report = played.finish()
    assert told(report) == {
        "cell_ovp": (None, 3.65, 3.65, None),
        "cell_ovpr": (Outcome.TOO_OFTEN, 3.55, 3.55, None),
        # It has that value: nothing would be written.
        "balance_trigger_voltage": (None, 0.01, 0.01, None),
    }
    assert [r.again_at for r in report.results] == [None, 160.0, None]
    assert played.writes == []


@pytest.mark.parametrize(
    "changes",
    [
        (),
        (Change(1, BY_KEY["cell_ovp"], 3.6), Change(2, BY_KEY["cell_ovpr"], 3.5)),
        (Change(1, BY_KEY["cell_ovp"], 3.6), Change(1, BY_KEY["cell_ovp"], 3.7)),
    ],
)
def test_a_transaction_is_of_different_settings_of_one_bms(
    changes: tuple[Change, ...],
) -> None:
    with pytest.raises(InvalidValueError):
        Transaction(changes)


@pytest.mark.parametrize("how", ["silence", "unbelievable", "refusal"])
def test_a_bms_that_cannot_be_read_is_not_written(how: str) -> None:
    job = SettingsJob(together(**MOVED), Layout.JK02_32S, FW, known=ALL_BLOCKS)
    for _ in range(3):
        assert not job.ended
        assert job.step() == Ask(Block.SETTINGS)
        match how:
            case "silence":
                job.unanswered(1.0)
            case "unbelievable":
                job.answered(None, 1.0)
            case _:
                job.refused(2)
    assert job.report is not None
    assert {r.outcome for r in job.report.results} == {Outcome.UNREACHABLE}
    assert job.report.left_changed == ()


# -- what goes wrong ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "outcome", "code"),
    [
        ({"code": 3}, Outcome.REFUSED_VALUE, 3),
        ({"code": 2}, Outcome.REFUSED_REGISTER, 2),
        ({"ignored": True}, Outcome.IGNORED, None),
    ],
)
def test_what_was_written_before_a_failure_is_put_back_last_first(
    how: dict[str, Any], outcome: Outcome, code: int | None
) -> None:
    played = Played(together(**MOVED))
    played.until_write(3)
    played.turn(**how)
    report = played.finish()
    assert told(report) == {
        "cell_ovpr": (outcome, 3.55, 3.55, None),
        "cell_ovp": (Outcome.PROVEN, 3.65, 3.65, True),
        "cell_request_charge_voltage": (Outcome.PROVEN, 3.55, 3.55, True),
    }
    assert report.results[0].code == code
    assert not report.proven
    assert report.left_changed == ()
    assert played.writes[-2:] == [0x1020, 0x100C]
    assert (played.pack.get("cell_ovp"), played.pack.get("rcv")) == (3650, 3550)


def test_a_bms_that_falls_silent_between_two_settings_is_left_as_it_is() -> None:
    played = Played(together(**MOVED))
    played.until_write(2)
    assert len(played.writes) == 1
    played = Played(together(**MOVED))
    while played.job._results[BY_KEY["cell_ovp"]].outcome is None:  # noqa: SLF001  # right after its proof
        played.turn()
    report = played.finish(lost=True)
    assert told(report) == {
        "cell_ovpr": (None, 3.55, 3.55, None),
        "cell_ovp": (Outcome.PROVEN, 3.65, 3.7, False),
        "cell_request_charge_voltage": (Outcome.UNREACHABLE, 3.55, 3.55, None),
    }
    assert played.writes == [0x100C]


def test_a_setting_that_somebody_else_has_moved_meanwhile_is_not_passed() -> None:
    played = Played(together(cell_ovp=3.7, cell_ovpr=3.6))
    while played.job._results[BY_KEY["cell_ovp"]].outcome is None:  # noqa: SLF001  # right after its proof
        played.turn()
    played.pack.set("cell_ovp", 3580)
    report = played.finish()
    assert told(report) == {
        "cell_ovp": (Outcome.PROVEN, 3.65, 3.65, True),
        "cell_ovpr": (Outcome.BROKEN_RULE, 3.55, 3.55, None),
    }
    assert [v.other for v in report.violations] == [BY_KEY["cell_ovp"]]


def test_a_value_that_the_bms_bent_is_put_back_too() -> None:
    played = Played(together(cell_ovp=3.7, cell_ovpr=3.6))
    played.until_write(2)
    played.turn()
    played.pack.set("cell_ovpr", 3580)
    report = played.finish()
    assert told(report) == {
        "cell_ovp": (Outcome.PROVEN, 3.65, 3.65, True),
        "cell_ovpr": (Outcome.CLAMPED, 3.55, 3.55, True),
    }


def test_a_write_of_which_nobody_knows_is_put_back_when_the_bms_answers_again() -> None:
    played = Played(together(cell_ovp=3.7))
    played.until_write(1)
    played.turn(lost=True)
    for _ in range(3):
        assert not played.job.ended
        played.turn(lost=True)
    report = played.finish()
    assert told(report) == {"cell_ovp": (Outcome.UNPROVEN, 3.65, 3.65, True)}
    assert played.pack.get("cell_ovp") == 3650


def test_what_cannot_be_put_back_is_told_and_nothing_is_passed_by() -> None:
    """The over-voltage protection stays where it is above what it must not pass."""
    played = Played(together(**MOVED, balancer=False))
    played.until_write(4)
    played.turn(code=3)
    # The balancer came first; the write that fails is that of the recovery.
    assert played.writes[0] == 0x1078
    while not played.writes_next:
        played.turn()
    played.turn(code=3)
    report = played.finish()
    assert told(report) == {
        "cell_ovpr": (Outcome.REFUSED_VALUE, 3.55, 3.55, None),
        "cell_ovp": (Outcome.PROVEN, 3.65, 3.7, False),
        "cell_request_charge_voltage": (Outcome.PROVEN, 3.55, 3.65, False),
        "balancer": (Outcome.PROVEN, True, True, True),
    }
    assert [r.change.field.key for r in report.left_changed] == [
        "cell_ovp",
        "cell_request_charge_voltage",
    ]
    assert (played.pack.get("cell_ovp"), played.pack.get("rcv")) == (3700, 3650)


def test_a_value_that_never_was_in_range_is_not_written_back() -> None:
    played = Played(
        together(smart_sleep_voltage=3.4, balancer=False), smart_sleep_voltage=0
    )
    played.until_write(2)
    played.turn()
    played.job.cancel()
    report = played.finish()
    assert told(report) == {
        "smart_sleep_voltage": (Outcome.PROVEN, 0.0, 3.4, False),
        "balancer": (Outcome.PROVEN, True, True, True),
    }
    unknown = Played(
        together(dry_1_trigger="none", dry_2_trigger="low_soc"), dry1_source=200
    )
    unknown.until_write(2)
    unknown.turn(code=3)
    assert told(unknown.finish())["dry_1_trigger"] == (
        Outcome.PROVEN,
        None,
        "none",
        False,
    )


# -- ended from outside -------------------------------------------------------------


def test_a_cancelled_transaction_finishes_its_step_and_puts_all_back() -> None:
    played = Played(together(**MOVED))
    played.until_write(2)
    played.turn()
    played.job.cancel()
    report = played.finish()
    assert told(report) == {
        "cell_ovpr": (None, 3.55, 3.55, None),
        "cell_ovp": (Outcome.PROVEN, 3.65, 3.65, True),
        "cell_request_charge_voltage": (Outcome.PROVEN, 3.55, 3.55, True),
    }
    assert not report.proven


def test_a_transaction_that_is_cancelled_before_it_writes_has_written_nothing() -> None:
    for answer in ("frame", "nothing", "refusal"):
        played = Played(together(**MOVED))
        assert played.job.step() == Ask(Block.SETTINGS)
        played.job.cancel()
        match answer:
            case "frame":
                frame = Frame(played.pack.frame(SIMULATED[Block.SETTINGS]))
                played.job.answered(frame, 1.0)
            case "nothing":
                for _ in range(3):
                    played.job.unanswered(1.0)
            case _:
                for _ in range(3):
                    played.job.refused(2)
        report = played.finish()
        assert {r.outcome for r in report.results} == {None}
        played.job.cancel()
        assert played.job.report is report


def test_a_bus_that_is_lost_leaves_a_true_report() -> None:
    played = Played(together(**MOVED))
    report = played.job.abandon()
    assert {r.outcome for r in report.results} == {Outcome.UNREACHABLE}
    played = Played(together(**MOVED))
    played.until_write(2)
    played.turn()
    report = played.job.abandon()
    assert told(report) == {
        "cell_ovpr": (None, 3.55, 3.55, None),
        "cell_ovp": (Outcome.PROVEN, 3.65, 3.7, False),
        "cell_request_charge_voltage": (Outcome.UNPROVEN, 3.55, None, False),
    }
    assert [r.change.field.key for r in report.left_changed] == [
        "cell_ovp",
        "cell_request_charge_voltage",
    ]


def test_a_bus_that_is_lost_while_putting_back_leaves_a_true_report() -> None:
    played = Played(together(**MOVED))
    played.until_write(3)
    played.turn(code=3)
    while not played.writes_next:
        played.turn()
    played.turn()
    report = played.job.abandon()
    assert told(report) == {
        "cell_ovpr": (Outcome.REFUSED_VALUE, 3.55, 3.55, None),
        "cell_ovp": (Outcome.PROVEN, 3.65, 3.7, False),
        "cell_request_charge_voltage": (Outcome.PROVEN, 3.55, None, False),
    }


def test_a_result_is_changed_when_its_value_is_or_may_be() -> None:
    change = Change(1, BY_KEY["cell_ovp"], 3.6)

    def left(**what: Any) -> bool:
        result = FieldResult(change=change, **what)
        return bool(SettingsReport(results=(result,)).left_changed)

    assert left(outcome=Outcome.UNPROVEN, before=3.5)
    assert left(outcome=Outcome.CLAMPED, before=3.5, found=3.55)
    assert not left(outcome=Outcome.IGNORED, before=3.5, found=3.5)
    assert not left(outcome=Outcome.PROVEN, before=3.5, found=3.5, rolled_back=True)


# -- on the bus ---------------------------------------------------------------------


def test_a_master_changes_several_settings_of_a_pack() -> None:
    bus = bus_of(1, 2, live=1)
    bus.run(10)
    wanted = together(
        2, None, cell_ovp=3.7, cell_ovpr=3.68, cell_request_charge_voltage=3.69
    )
    start = bus.now
    report = settled(bus, wanted)
    assert report.proven
    assert bus.now - start < 5
    assert [bus.raw(2, name) for name in ("cell_ovp", "cell_ovpr", "rcv")] == [
        3700,
        3680,
        3690,
    ]
    assert bus.master.stations[2].state.values["cell_ovp"] == 3.7
    assert bus.line.bank[1].journal == []
    assert bus.line.bank.dangerous == []


def test_a_pack_that_refuses_one_gets_the_others_back() -> None:
    bus = bus_of(1)
    bus.run(10)
    before = [bus.raw(1, name) for name in ("cell_ovp", "charge_current_limit")]
    report = settled(bus, together(cell_ovp=3.7, max_charge_current=500))
    assert {r.outcome for r in report.results} == {
        Outcome.PROVEN,
        Outcome.REFUSED_VALUE,
    }
    assert report.left_changed == ()
    assert [bus.raw(1, name) for name in ("cell_ovp", "charge_current_limit")] == before


def test_a_master_can_be_told_to_stop() -> None:
    bus = bus_of(1)
    bus.run(10)
    before = bus.raw(1, "cell_ovp")
    wanted, other = (
        together(cell_ovp=3.7, balance_trigger_voltage=0.02),
        together(balancer=False),
    )
    bus.master.submit(wanted)
    bus.master.submit(other)
    while not bus.line.bank[1].journal:
        bus.run(0.01)
    bus.master.cancel(wanted)
    bus.run(20)
    reports = [e.report for _, e in bus.of_type(Settled)]
    assert [report.proven for report in reports] == [False, True]
    assert reports[0].left_changed == ()
    assert bus.raw(1, "cell_ovp") == before


@pytest.mark.parametrize("how", ["outage", "another master", "removal"])
def test_a_transaction_ends_with_its_bus(how: str) -> None:
    bus = bus_of(1, 2)
    bus.run(10)
    bus.master.submit(together(cell_ovp=3.7, balance_trigger_voltage=0.02))
    while not bus.line.bank[1].journal:
        bus.run(0.01)
    ended: list[Settled] = []
    match how:
        case "outage":
            ended = [
                e for e in bus.master.disconnected(bus.now) if isinstance(e, Settled)
            ]
        case "another master":
            bus.intrusion = [(bus.now, trigger(7, Block.LIVE).encode())]
        case _:
            bus.master.remove(1)
    bus.run(2)
    ended += [e for _, e in bus.of_type(Settled)]
    (event,) = ended
    assert {r.outcome for r in event.report.results} <= {None, Outcome.UNPROVEN}
    assert len(event.report.left_changed) == 1
