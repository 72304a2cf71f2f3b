"""What is on a bus, told by listening."""

from random import Random

import pytest

from custom_components.jkbms.protocol.can.dialect import Dialect
from custom_components.jkbms.protocol.can.message import CanMessage
from custom_components.jkbms.protocol.can.survey import (
    LISTEN_FOR,
    CanFinding,
    CanSurvey,
    HeardPack,
)

from .bus import TICK, Cycle, Pack, Sender, msg
from .test_bank import GROWATT, PYLON, SMA, VICTRON, cycle


def heard(*senders: Sender) -> tuple[CanSurvey, CanFinding]:
    """Listen for as long as a set-up does."""
    survey = CanSurvey()
    for step in range(1, round(LISTEN_FOR / TICK) + 1):
        survey.hear(m for sender in senders for m in sender.messages(step))
    return survey, survey.finish()


def test_packs_are_named_with_their_cells() -> None:
    survey, finding = heard(Pack(), Pack(address=3, cells=[3300] * 8))
    assert finding is CanFinding.PACKS
    assert survey.packs == (HeardPack(0, 16), HeardPack(3, 8))
    assert survey.dialect is Dialect.NATIVE_V2
    assert survey.clashing == ()
    assert survey.counts["foreign"] == survey.counts["malformed"] == 0
    assert survey.counts["messages"] > 300


def test_a_pack_of_version_1_does_not_tell_its_cells() -> None:
    survey, finding = heard(Pack(v1=True))
    assert finding is CanFinding.PACKS
    assert survey.packs == (HeardPack(0, 0),)
    assert survey.dialect is Dialect.NATIVE_V1


@pytest.mark.parametrize(
    ("said", "dialect"),
    [
        (PYLON, Dialect.PYLON),
        (SMA, Dialect.SMA),
        (VICTRON, Dialect.VICTRON),
        (GROWATT, Dialect.GROWATT),
    ],
)
def test_a_bank_is_told_with_its_dialect(
    said: dict[int, str], dialect: Dialect
) -> None:
    survey, finding = heard(cycle(said), Cycle([msg(0x305, bytes(8))], every=20))
    assert finding is CanFinding.BANK
    assert survey.dialect is dialect
    assert survey.packs == ()
    assert survey.counts["inverter"] == 6


def test_nothing_is_known_before_the_end_of_listening() -> None:
    survey = CanSurvey()
    survey.hear(Pack().messages(19))
    assert (survey.dialect, survey.packs, survey.clashing) == (None, (), ())
    assert survey.counts["messages"] > 0


def test_silence_is_silence() -> None:
    survey, finding = heard()
    assert finding is CanFinding.SILENCE
    assert survey.counts["messages"] == 0
    assert survey.dialect is None


def test_an_inverter_without_a_battery_is_told() -> None:
    _, finding = heard(Cycle([msg(0x305, bytes(8)), msg(0x307, bytes(8))]))
    assert finding is CanFinding.INVERTER


def test_two_packs_at_one_address_are_told() -> None:
    survey, finding = heard(Pack(), Pack(soc=40, runtime=5, cycles=3))
    assert finding is CanFinding.CLASH
    assert survey.clashing == (0,)
    survey, finding = heard(Pack(), Pack(soc=40, runtime=5, cycles=3), Pack(address=1))
    assert finding is CanFinding.PACKS
    assert survey.packs == (HeardPack(1, 16),)
    assert survey.clashing == (0,)


@pytest.mark.parametrize("many", [3, 4, 16])
def test_packs_that_all_have_the_address_of_the_factory_are_told(many: int) -> None:
    """Nobody has turned a DIP switch; they speak in turns, so none returns at once."""
    packs = [Pack(soc=20 + 3 * n, runtime=5000 * n, cycles=9 * n) for n in range(many)]
    survey, finding = heard(*packs)
    assert finding is CanFinding.CLASH
    assert survey.clashing == (0,)


def test_other_traffic_is_foreign() -> None:
    random = Random(1)
    bus = [
        msg(random.choice((0x18FEF100, 0x0CF00400, 0x1F2, 0x7E8)), random.randbytes(8))
        for _ in range(40)
    ]
    survey, finding = heard(Cycle(bus, every=1))
    assert finding is CanFinding.FOREIGN
    assert survey.counts["foreign"] == survey.counts["messages"] == 120


def test_a_single_message_of_ours_is_no_pack() -> None:
    survey = CanSurvey()
    survey.hear([CanMessage(0x2F4, bytes.fromhex("1302b20f51000000"), False)])
    survey.hear([CanMessage(0x2F4, b"", False)])
    assert survey.finish() is CanFinding.FOREIGN
    assert survey.counts["malformed"] == 1
    assert survey.packs == ()
