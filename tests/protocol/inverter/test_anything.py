"""Whatever happens to a bank, no more is told than the rules allow at that moment.

The rules are written down a second time here, as plainly as they can be (inverter.md).
"""

from dataclasses import replace
from typing import Any, Final, override

from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
import pytest

from custom_components.jkbms.protocol.bank_member import Spot
from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.inverter.languages import SCRIPTS, Language
from custom_components.jkbms.protocol.inverter.limits import Rules, judge
from custom_components.jkbms.protocol.inverter.sight import PackSight
from custom_components.jkbms.protocol.inverter.teller import Teller

from .bank import GUARD, limits_of, sight

_PACKS: Final = 3
_LIMITS: Final = (0x351, 0x311)
_NOTHING: Final = (0.0, 0.0)
_GRAIN: Final = 0.1
"""What a message is rounded to."""

_cells = st.floats(2.6, 3.7)
_degrees = st.floats(-25, 65)
_CHANGES: Final = st.one_of(
    st.tuples(st.just("low"), _cells),
    st.tuples(st.just("high"), _cells),
    st.tuples(st.just("cold"), _degrees),
    st.tuples(st.just("warm"), _degrees),
    st.tuples(st.just("mos"), st.floats(20, 95)),
    st.tuples(st.just("max_charge"), st.sampled_from((None, 20.0, 100.0, 200.0))),
    st.tuples(st.just("max_discharge"), st.sampled_from((None, 20.0, 150.0))),
    st.tuples(st.just("charge_mos"), st.sampled_from((True, False, None))),
    st.tuples(st.just("discharge_mos"), st.sampled_from((True, False, None))),
    st.tuples(st.just("floats"), st.booleans()),
    st.tuples(st.just("rcv"), st.sampled_from((3.40, 3.45, 3.60, 3.70))),
    st.tuples(st.just("ovp"), st.sampled_from((3.55, 3.65))),
    st.tuples(st.just("online"), st.booleans()),
    st.tuples(st.just("capacity"), st.sampled_from((None, 100.0, 280.0))),
    st.tuples(st.just("state_of_charge"), st.sampled_from((0.0, 50.0, 100.0, 130.0, None))),
    st.tuples(st.just("protected"), st.booleans()),
    st.tuples(st.just("amperes"), st.sampled_from((0.0, 15.0, 900.0, None))),
)  # fmt: skip
_USUAL: Final = {
    "low": 3.3,
    "high": 3.32,
    "cold": 20.0,
    "warm": 22.0,
    "mos": 30.0,
    "max_charge": 100.0,
    "max_discharge": 150.0,
    "charge_mos": True,
    "discharge_mos": True,
    "floats": False,
    "rcv": 3.45,
    "ovp": 3.65,
    "online": True,
    "capacity": 280.0,
    "state_of_charge": 50.0,
    "protected": False,
    "amperes": 0.0,
}

_AS_THEY_ARE: Final = (
    *("max_charge", "max_discharge", "charge_mos", "discharge_mos", "floats"),
    *("online", "capacity", "amperes", "state_of_charge"),
)


def volts(pack: dict[str, Any]) -> float:
    """Packs side by side have one voltage, whatever single cells have."""
    return 16 * float(min(max(3.3, pack["low"]), max(pack["high"], pack["low"])))


def seen(packs: list[dict[str, Any]], now: float) -> list[PackSight]:
    """Return packs as they are handed over."""
    return [
        sight(
            n,
            heard=now,
            volts=volts(pack),
            lowest_cell=Spot(pack["low"], 1),
            highest_cell=Spot(max(pack["high"], pack["low"]), 2),
            coldest=Spot(pack["cold"], "T1"),
            warmest=Spot(max(pack["warm"], pack["cold"]), "T2"),
            mos_temperature=pack["mos"],
            protections=("alarm_cell_overvoltage",) if pack["protected"] else (),
            guard=replace(
                GUARD,
                cell_request_charge_voltage=pack["rcv"],
                cell_ovp=pack["ovp"],
            ),
            **{key: pack[key] for key in _AS_THEY_ARE},
        )
        for n, pack in enumerate(packs)
    ]


class World(RuleBasedStateMachine):
    """Three packs, what was handed over of them, and what an inverter hears."""

    def __init__(self) -> None:
        """Begin with packs that are well."""
        super().__init__()
        self.now = 1000.0
        self.packs: list[dict[str, Any]] = [dict(_USUAL) for _ in range(_PACKS)]
        self.given: list[dict[str, Any]] = []
        self.given_at = 0.0
        self.tripped: float | None = None
        self.other = False
        self.ended = False
        self.last: tuple[float, tuple[float, float]] | None = None

    @initialize(
        language=st.sampled_from(Language),
        wanted=st.sampled_from((None, 1, 2, 3, 4)),
        own=st.sampled_from((None, 0.0, 50.0, 500.0)),
        most=st.sampled_from((None, 54.0, 70.0)),
    )
    def open(
        self,
        language: Language,
        wanted: int | None,
        own: float | None,
        most: float | None,
    ) -> None:
        """Open the bus."""
        self.wanted, self.own, self.most = wanted, own, most
        self.language = language
        rules = Rules(
            min_packs=wanted,
            charge_voltage=most,
            charge_current=own,
            discharge_current=own,
        )
        self.teller = Teller(language, rules)
        self.teller.begin(self.now)
        self.hand_over()
        self.settle()

    @rule(pack=st.integers(0, _PACKS - 1), change=_CHANGES)
    def change(self, pack: int, change: tuple[str, Any]) -> None:
        """Let something happen to a pack, and hand it over."""
        key, value = change
        self.packs[pack][key] = value
        self.hand_over()

    @rule()
    def recover(self) -> None:
        """Let all be well again."""
        self.packs = [dict(_USUAL) for _ in range(_PACKS)]
        self.hand_over()

    @rule()
    def hand_over(self) -> None:
        """Tell how the packs are now."""
        self.given = [dict(pack) for pack in self.packs]
        self.given_at = self.now
        self.teller.give(seen(self.packs, self.now))

    @rule(seconds=st.floats(0.5, 20.0), steady=st.booleans())
    def wait(self, seconds: float, steady: bool) -> None:
        """Let time pass, with packs that go on telling or with none that do."""
        end = self.now + seconds
        asked = self.now
        while self.now < end:
            self.now = min(end, max(self.now + 0.02, self.teller.due(self.now)))
            if steady and self.now - self.given_at >= 1:
                self.hand_over()
            if self.now - asked >= 1:
                asked = self.now
                self.hear(0x301)
                self.hear(0x305)
            self.say(self.teller.advance(self.now))

    @rule()
    def settle(self) -> None:
        """Let everything be told that is allowed."""
        self.wait(66.0, steady=True)

    @rule(late=st.floats(0.1, 40.0))
    def oversleep(self, late: float) -> None:
        """Let the thread be late."""
        self.now += late
        self.say(self.teller.advance(self.now))

    @rule()
    def reopen(self) -> None:
        """Lose the bus and open it again."""
        self.teller.begin(self.now)
        self.other = self.ended = False
        self.last = None

    @rule()
    def another_battery(self) -> None:
        """Let somebody else speak."""
        self.hear(0x351)
        self.other = True

    @rule()
    def end(self) -> None:
        """Close the bus."""
        for message in self.teller.farewell(self.now):
            if message.id in _LIMITS:
                assert self.limits(message)[1:] == _NOTHING
        self.ended = True

    def hear(self, code: int) -> None:
        """Let a message cross the bus."""
        if not self.ended or code != 0x351:
            self.teller.hear([CanMessage(code, bytes(8), False)], self.now)

    def limits(self, message: CanMessage) -> tuple[float, float, float]:
        """Return what a message allows."""
        return limits_of(message.data, self.language is Language.GROWATT)

    # -- the rules once more ----------------------------------------------------------

    def say(self, messages: list[CanMessage]) -> None:
        """Judge what is sent."""
        forbidden = self.forbidden
        if forbidden and self.tripped is None:
            self.tripped = self.now
        elif not forbidden:
            self.tripped = None
        if not messages:
            return
        assert not self.other
        assert not self.ended
        assert len(messages) == 1
        (message,) = messages
        if self.tripped is not None:
            assert self.now - self.tripped <= 30.0 + 0.3
        if message.id in (0x35C, 0x319):
            flags = message.data[0]
            if forbidden:
                assert flags & 0xC0 == 0
        if message.id in _LIMITS:
            self.judge(*self.limits(message))

    def judge(self, voltage: float, charge: float, discharge: float) -> None:
        """Compare limits with what is allowed."""
        allowed = self.allowed
        assert charge <= allowed[0] + 1e-6
        assert discharge <= allowed[1] + 1e-6
        fresh = self.fresh
        if fresh:
            assert voltage <= min(asked(pack) for pack in fresh) + 1e-6
        if self.most is not None:
            assert voltage <= self.most + 1e-6
        if self.last is not None:
            then, before = self.last
            for now, was, setting in zip(
                (charge, discharge), before, (600.0, 450.0), strict=True
            ):
                rise = (self.now - then) * setting / 60
                assert now <= was + rise + _GRAIN + 1e-6
        self.last = self.now, (charge, discharge)

    @property
    def fresh(self) -> list[dict[str, Any]]:
        """The packs that count."""
        if self.now - self.given_at > 10.0:
            return []
        return [pack for pack in self.given if pack["online"]]

    @property
    def forbidden(self) -> bool:
        """Whether nothing at all is allowed."""
        fresh = self.fresh
        wanted = _PACKS if self.wanted is None else self.wanted
        if len(fresh) < wanted:
            return True
        return any(
            pack["protected"]
            or pack["state_of_charge"] is None
            or pack["state_of_charge"] > 100
            or pack["amperes"] is None
            or pack["amperes"] > 400
            for pack in fresh
        )

    @property
    def allowed(self) -> tuple[float, float]:
        """What may be charged and discharged, A."""
        if self.forbidden:
            return _NOTHING
        return allowed(self.fresh, self.own)

    @invariant()
    def the_status_tells_what_was_sent(self) -> None:
        """The last limits that were sent are those that are shown."""
        sent = self.teller.status.sent
        if sent is not None and self.last is not None:
            shown = sent.charge, sent.discharge
            assert all(
                abs(one - other) <= _GRAIN
                for one, other in zip(shown, self.last[1], strict=True)
            )

    @override
    def teardown(self) -> None:
        """Let nothing be said after the end."""
        if hasattr(self, "teller"):
            self.end()
            assert self.teller.advance(self.now + 100.0) == []


def asked(pack: dict[str, Any]) -> float:
    """Return the voltage that a pack asks for, less what a cell is too high."""
    target = min(pack["rcv"], pack["ovp"])
    wanted = 16 * (3.35 if pack["floats"] else target)
    over = max(pack["high"], pack["low"]) - target
    return wanted if over <= 0 else min(wanted, max(16 * 3.35, volts(pack) - over))


def allowed(packs: list[dict[str, Any]], own: float | None) -> tuple[float, float]:
    """Return what packs that tell may be charged and discharged with, A."""
    charge = _shared(packs, "charge_mos", "max_charge", _charged)
    discharge = _shared(packs, "discharge_mos", "max_discharge", _discharged)
    if own is not None:
        return min(charge, own), min(discharge, own)
    return charge, discharge


def _shared(packs: list[dict[str, Any]], mos: str, setting: str, factor: Any) -> float:
    """Return the current at which no pack has more than it may."""
    on = [pack for pack in packs if pack[mos]]
    if not on:
        return 0.0
    even = any(pack["capacity"] is None for pack in on)
    weights = [1.0 if even else pack["capacity"] for pack in on]
    most = [
        (pack[setting] or 0.0) * factor(pack) * sum(weights) / weight
        for pack, weight in zip(on, weights, strict=True)
    ]
    # Never more than the packs are set to, either.
    return float(min(*most, sum(pack[setting] or 0.0 for pack in on)))


def _between(value: float, zero: float, full: float) -> float:
    return min(1.0, max(0.0, (value - zero) / (full - zero)))


def _charged(pack: dict[str, Any]) -> float:
    high = max(pack["high"], pack["low"])
    warm = max(pack["warm"], pack["cold"])
    return min(
        _between(high, pack["ovp"], min(pack["rcv"], pack["ovp"] - 0.05)),
        _between(pack["cold"], 0.0, 5.0),
        _between(warm, 55.0, 50.0),
        _between(pack["mos"], 90.0, 80.0),
    )


def _discharged(pack: dict[str, Any]) -> float:
    warm = max(pack["warm"], pack["cold"])
    return min(
        0.0 if pack["state_of_charge"] <= 0 else 1.0,
        _between(pack["low"], 2.8, 3.0),
        _between(pack["cold"], -20.0, -10.0),
        _between(warm, 60.0, 55.0),
        _between(pack["mos"], 90.0, 80.0),
    )


World.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None
)
TestWorld = World.TestCase


_PACK: Final = st.fixed_dictionaries(
    {
        **{key: st.just(value) for key, value in _USUAL.items()},
        "low": st.floats(2.7, 3.3),
        "high": st.floats(3.3, 3.66),
        "cold": st.floats(-25, 20),
        "warm": st.floats(20, 62),
        "mos": st.floats(20, 92),
        "rcv": st.floats(3.4, 3.7),
        "ovp": st.floats(3.5, 3.66),
        "floats": st.booleans(),
        "max_charge": st.floats(0, 200),
        "max_discharge": st.floats(0, 200),
        "capacity": st.one_of(st.none(), st.floats(50, 400)),
        "charge_mos": st.sampled_from((True, True, False)),
        "discharge_mos": st.sampled_from((True, True, False)),
    }
)


@given(
    packs=st.lists(_PACK, min_size=1, max_size=5),
    own=st.one_of(st.none(), st.floats(0, 500)),
)
def test_a_verdict_is_what_the_rules_say(
    packs: list[dict[str, Any]], own: float | None
) -> None:
    rules = Rules(charge_current=own, discharge_current=own)
    verdict = judge(seen(packs, 0.0), rules, 0.0)
    if verdict.trip is not None:
        assert (verdict.charge.value, verdict.discharge.value) == _NOTHING
        return
    wanted = allowed(packs, own)
    assert (verdict.charge.value, verdict.discharge.value) == pytest.approx(wanted)
    assert verdict.voltage.value == pytest.approx(min(asked(pack) for pack in packs))


def test_the_rules_here_are_those_of_the_packs_here() -> None:
    assert (GUARD.cell_ovp, GUARD.full_cell, GUARD.cell_uvp, GUARD.cell_uvpr) == (
        3.65,
        3.45,
        2.8,
        3.0,
    )
    assert {script.frames[0].id for script in SCRIPTS.values()} == set(_LIMITS)
