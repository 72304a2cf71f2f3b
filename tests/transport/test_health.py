"""What is wrong with a bus: found with enough evidence, and gone with it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.frames import Ack
from custom_components.jkbms.protocol.masking import Masker, Message, Piece
from custom_components.jkbms.transport.connections import Connections
from custom_components.jkbms.transport.health import (
    Doctor,
    Health,
    Kind,
    PackSight,
    Sample,
    Trouble,
    Verdict,
    are_cut,
    is_sleepy,
)
from custom_components.jkbms.transport.link import LinkFault
from custom_components.jkbms.transport.session import LinkState, LinkStatus

from ..captures import bus_streams

UP: Final = LinkStatus(LinkState.CONNECTED)
AWAKE: Final = PackSight(available=True, heard=0.0, sleepy=False)
GONE: Final = PackSight(available=False, heard=0.0, sleepy=False)
CYCLE: Final = next(c for c in bus_streams() if c.id == "phinix-readme-cycle").data


def down(fault: LinkFault) -> LinkStatus:
    """The line is not open."""
    return LinkStatus(LinkState.DOWN, fault, "words")


class Practice:
    """A bus whose days are told in a few lines."""

    def __init__(self, kind: Kind = Kind.ASKING, packs: int = 2) -> None:
        """Begin at a time that nobody takes for zero."""
        self.now = 1000.0
        self.connections = Connections()
        self.raw = b""
        self.doctor = Doctor(
            kind, self.connections, lambda: self.raw, self._messages, self.now
        )
        self.sample = Sample(status=UP, packs=(AWAKE,) * packs)
        self.connections.opened(self.now)

    def _messages(self) -> Iterable[Message]:
        masker = Masker()
        told = list(masker.feed(Piece(0.0, False, self.raw)))
        return (*told, *masker.flush())

    def goes_on(
        self,
        seconds: float,
        *,
        heard: int = 0,
        useless: int = 0,
        refused: int = 0,
        good: int = 0,
        **changes: Any,
    ) -> Verdict:
        """Let time pass with so much heard in each 10 seconds; return the last verdict."""
        verdict = None
        for _ in range(round(seconds / 10)):
            self.now += 10
            before = self.sample
            self.sample = replace(
                before,
                heard=before.heard + heard,
                useless=before.useless + useless,
                refused=before.refused + refused,
                good=before.good + good,
                last_heard=self.now if heard else before.last_heard,
                **changes,
            )
            verdict = self.doctor.judge(self.sample, self.now)
        assert verdict is not None
        return verdict


def well(practice: Practice, seconds: float = 120) -> Verdict:
    """A sound line for a while."""
    return practice.goes_on(seconds, heard=1200, good=4, status=UP)


def test_a_bus_on_which_everybody_answers_is_ok() -> None:
    assert well(Practice(), 3600) == Verdict(Health.OK, {})


def test_a_bus_that_has_just_begun_is_starting_and_then_packs_are_missing() -> None:
    practice = Practice()
    packs = (AWAKE, GONE)
    assert practice.goes_on(30, heard=600, good=2, packs=packs).health == "starting"
    assert practice.goes_on(60, heard=600, good=2, packs=packs).health == "missing"
    assert well(practice) == Verdict(Health.MISSING, {})
    assert practice.goes_on(10, heard=600, packs=(AWAKE, AWAKE)).health == "ok"


@pytest.mark.parametrize(
    ("kind", "trouble"),
    [
        (Kind.ASKING, Trouble.NOTHING_HEARD),
        (Kind.LISTENING, Trouble.NOTHING_HEARD_LISTENING),
        (Kind.CAN, Trouble.NOTHING_HEARD_CAN),
    ],
)
def test_silence_is_a_state_soon_and_a_trouble_after_minutes(
    kind: Kind, trouble: Trouble
) -> None:
    practice = Practice(kind)
    well(practice)
    gone: dict[str, Any] = {
        "packs": (GONE, GONE),
        "status": down(LinkFault.SILENT),
    }
    assert practice.goes_on(100, **gone) == Verdict(Health.SILENT, {})
    assert practice.goes_on(190, **gone).troubles == {}
    assert practice.goes_on(20, **gone) == Verdict(Health.SILENT, {trouble: {}})
    assert well(practice).troubles == {}


def test_a_slow_rhythm_is_no_silence() -> None:
    practice = Practice()
    for _ in range(20):
        practice.goes_on(10, heard=311, good=1)
        assert practice.goes_on(30).health is Health.OK


def test_packs_that_fell_asleep_one_after_another_are_asleep() -> None:
    practice = Practice()
    well(practice)
    asleep = (
        PackSight(available=False, heard=1000.0, sleepy=True),
        PackSight(available=False, heard=1400.0, sleepy=True),
    )
    verdict = practice.goes_on(3600, packs=asleep, status=down(LinkFault.SILENT))
    assert verdict == Verdict(Health.ASLEEP, {})
    # One of them is awake.
    verdict = practice.goes_on(60, heard=300, packs=(asleep[0], AWAKE), status=UP)
    assert verdict == Verdict(Health.ASLEEP, {})


def test_packs_that_fell_silent_at_once_have_lost_their_line() -> None:
    practice = Practice()
    well(practice)
    gone = (PackSight(available=False, heard=1000.0, sleepy=True),) * 2
    verdict = practice.goes_on(400, packs=gone)
    assert verdict == Verdict(Health.SILENT, {Trouble.NOTHING_HEARD: {}})


def test_a_master_that_sleeps_takes_everybody_along() -> None:
    practice = Practice(Kind.LISTENING)
    well(practice)
    gone = (PackSight(available=False, heard=1000.0, sleepy=True),) * 2
    assert practice.goes_on(400, packs=gone) == Verdict(Health.ASLEEP, {})


@pytest.mark.parametrize(
    ("changes", "sleepy"),
    [
        ({}, True),
        ({"average_cell_voltage": 3.44}, True),
        ({"average_cell_voltage": 3.46}, False),
        ({"current": -3.0}, False),
        ({"current": None}, False),
        ({"smart_sleep": False}, False),
        ({"smart_sleep_voltage": None}, False),
    ],
)
def test_who_may_fall_asleep(changes: dict[str, Any], sleepy: bool) -> None:
    values = {
        "smart_sleep": True,
        "smart_sleep_voltage": 3.4,
        "average_cell_voltage": 3.35,
        "current": 0.2,
    }
    assert is_sleepy(values | changes) is sleepy


@pytest.mark.parametrize(
    ("raw", "trouble"),
    [
        (bytes(range(0x80, 0xFF)) * 4, Trouble.GARBLED),
        (b"\x4e\x57\x01\x1b" + bytes(280), Trouble.LEGACY_PROTOCOL),
        (b"\x55\xaa\xeb\x90\x02" + bytes(200), Trouble.GARBLED),
        ((b"\x55\xaa\xeb\x90\x02" + bytes(200)) * 3, Trouble.CUT_FRAMES),
        (bytes.fromhex("0110162000030190 0B") * 4, Trouble.MODBUS_GATEWAY),
    ],
    ids=["noise", "older_protocol", "one_head", "heads", "translated"],
)
def test_bytes_without_a_message_are_named_by_what_they_look_like(
    raw: bytes, trouble: Trouble
) -> None:
    practice = Practice()
    practice.raw = raw
    gone: dict[str, Any] = {"packs": (GONE, GONE)}
    practice.goes_on(40, heard=50, useless=50, **gone)
    assert practice.goes_on(40, heard=50, useless=50, **gone).health is Health.GARBLED
    verdict = practice.goes_on(120, heard=50, useless=50, **gone)
    assert verdict == Verdict(Health.GARBLED, {trouble: {}})
    assert well(practice).troubles == {}


def test_a_gateway_that_refuses_everything_translates() -> None:
    practice = Practice()
    verdict = practice.goes_on(240, heard=25, refused=5, packs=(GONE, GONE))
    assert verdict == Verdict(Health.GARBLED, {Trouble.MODBUS_GATEWAY: {}})


def test_a_can_bus_of_others_is_told() -> None:
    practice = Practice(Kind.CAN)
    verdict = practice.goes_on(240, heard=500, useless=500, packs=(GONE,))
    assert verdict == Verdict(Health.GARBLED, {Trouble.CAN_FOREIGN: {}})
    assert well(practice).troubles == {}


def test_damage_has_to_last_and_ends_only_when_the_line_is_sound() -> None:
    practice = Practice()
    well(practice, 700)
    assert practice.goes_on(60, heard=1200, useless=200, good=3).health is Health.OK
    verdict = practice.goes_on(540, heard=1200, useless=200, good=3)
    assert verdict.health is Health.DAMAGED
    assert list(verdict.troubles) == [Trouble.DAMAGED_FRAMES]
    verdict = practice.goes_on(600, heard=1200, useless=60, good=4)
    assert verdict.troubles == {Trouble.DAMAGED_FRAMES: {"percent": "5"}}
    assert well(practice, 700) == Verdict(Health.OK, {})


def test_the_stray_bytes_of_adapters_are_no_damage() -> None:
    practice = Practice()
    verdict = practice.goes_on(3600, heard=1200, useless=60, good=4)
    assert verdict == Verdict(Health.OK, {})


def test_damage_by_two_packs_at_one_address_has_its_own_issue() -> None:
    practice = Practice()
    damage: dict[str, Any] = {"heard": 1200, "useless": 400, "good": 2}
    assert practice.goes_on(900, **damage, clashing=True) == Verdict(Health.OK, {})


def test_frames_that_are_cut_are_told_from_frames_that_are_damaged() -> None:
    practice = Practice()
    frame = CYCLE[CYCLE.index(b"\x55\xaa\xeb\x90") :][:300]
    ack = Ack(0, 0x1620, 1).encode()
    practice.raw = (frame[:287] + ack) * 4
    assert are_cut(practice._messages())  # noqa: SLF001 - what the doctor is given
    verdict = practice.goes_on(700, heard=1200, useless=400, good=2)
    assert verdict.troubles == {Trouble.CUT_FRAMES: {"percent": "33"}}
    flipped = frame[:200] + bytes([frame[200] ^ 1]) + frame[201:]
    practice.raw = (flipped + ack) * 4
    assert not are_cut(practice._messages())  # noqa: SLF001 - as above


@pytest.mark.parametrize(
    ("fault", "health"),
    [
        (LinkFault.NO_SUCH_PORT, Health.NO_PORT),
        (LinkFault.NO_SUCH_INTERFACE, Health.NO_PORT),
        (LinkFault.NO_PERMISSION, Health.NO_PERMISSION),
        (LinkFault.BUSY, Health.BUSY),
        (LinkFault.REFUSED, Health.REFUSED),
        (LinkFault.UNREACHABLE, Health.UNREACHABLE),
        (LinkFault.UNKNOWN_HOST, Health.UNREACHABLE),
        (LinkFault.TIMEOUT, Health.UNREACHABLE),
        (LinkFault.LOST, Health.CLOSED),
        (LinkFault.INTERFACE_DOWN, Health.INTERFACE_DOWN),
        (LinkFault.BUS_ERRORS, Health.BUS_ERRORS),
        (LinkFault.INVALID_ADDRESS, Health.FAILED),
        (LinkFault.MISSING_DRIVER, Health.FAILED),
        (LinkFault.FAILED, Health.FAILED),
        (LinkFault.SILENT, Health.SILENT),
    ],
)
def test_every_fault_of_a_line_has_its_state(fault: LinkFault, health: Health) -> None:
    practice = Practice()
    well(practice)
    assert practice.goes_on(60, status=down(fault)).health is health


def test_another_master_is_told_whatever_it_does_to_the_line() -> None:
    practice = Practice()
    verdict = practice.goes_on(900, heard=1200, useless=1000, yielded=True)
    assert verdict == Verdict(Health.FOREIGN_MASTER, {})


def test_a_gateway_that_refuses_after_it_has_worked_has_another_client() -> None:
    practice = Practice()
    well(practice)
    practice.connections.down(LinkFault.LOST, practice.now)
    refused: dict[str, Any] = {"status": down(LinkFault.REFUSED)}
    assert practice.goes_on(50, **refused).troubles == {}
    verdict = practice.goes_on(20, **refused)
    assert verdict == Verdict(Health.REFUSED, {Trouble.GATEWAY_IN_USE: {}})
    practice.connections.opened(practice.now)
    assert well(practice) == Verdict(Health.OK, {})


def test_a_gateway_that_takes_connections_just_to_end_them_has_another_client() -> None:
    practice = Practice()
    for _ in range(4):
        practice.connections.opened(practice.now)
        practice.connections.down(LinkFault.LOST, practice.now + 0.2)
        verdict = practice.goes_on(10, status=down(LinkFault.LOST))
    assert verdict == Verdict(Health.CLOSED, {Trouble.GATEWAY_IN_USE: {}})
    practice.connections.opened(practice.now)
    assert well(practice) == Verdict(Health.OK, {})


def connect(practice: Practice, *lengths: float) -> Verdict:
    """Have connections of these lengths one after another, ended by the other side."""
    for length in lengths:
        practice.connections.opened(practice.now)
        verdict = well(practice, length)
        practice.connections.down(LinkFault.LOST, practice.now)
    return verdict


def test_a_gateway_that_ends_connections_by_the_clock_is_told() -> None:
    practice = Practice()
    assert connect(practice, 300, 310, 300).troubles == {}
    connect(practice, 300)
    practice.connections.opened(practice.now)
    verdict = well(practice)
    assert verdict == Verdict(Health.OK, {Trouble.GATEWAY_CLOSES: {"seconds": "300"}})
    # Proof that it was mended takes a connection that lasts.
    assert well(practice, 600).troubles
    assert well(practice, 1200).troubles == {}


def test_connections_that_end_at_random_are_no_habit() -> None:
    practice = Practice()
    connect(practice, 300, 60, 1200, 500, 90)
    practice.connections.opened(practice.now)
    assert well(practice).troubles == {}


def test_a_can_bus_of_errors_is_told_when_they_last() -> None:
    practice = Practice(Kind.CAN)
    errors: dict[str, Any] = {"status": down(LinkFault.BUS_ERRORS), "packs": (GONE,)}
    assert practice.goes_on(50, **errors) == Verdict(Health.BUS_ERRORS, {})
    assert practice.goes_on(30, **errors).troubles == {Trouble.CAN_BIT_RATE: {}}
    assert well(practice).troubles == {}
