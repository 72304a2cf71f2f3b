"""Hours of trouble: at no moment does an inverter hold what the packs forbid.

Its limits are compared ten times a second with the memory of the packs, as it was within
the time that everybody may take to react; its own time-out is part of it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from custom_components.jkbms.protocol.inverter.languages import Language
from custom_components.jkbms.protocol.inverter.sight import PackSight
from custom_components.jkbms.protocol.inverter.teller import Phase
from simulator.can import frame_of

from .plant import GIVES_UP_WITHIN, REACTS_WITHIN, Plant

_ROUNDS: Final = 24
_ALARMS: Final = (4, 8, 11, 13)


def lose(plant: Plant) -> None:
    """A pack falls silent for a while."""
    pack = plant.random.choice(list(plant.bank))
    pack.present = False
    plant.run(plant.random.uniform(3, 90))
    pack.present = True


def alarm(plant: Plant) -> None:
    """A protection of a pack becomes active."""
    pack = plant.random.choice(list(plant.bank))
    pack.set("alarms", 1 << plant.random.choice(_ALARMS))
    pack.set("charge_mos", 0)
    plant.run(plant.random.uniform(3, 90))
    plant.mend(pack)


def switch(plant: Plant) -> None:
    """A pack switches one direction off."""
    pack = plant.random.choice(list(plant.bank))
    pack.set(plant.random.choice(("charge_mos", "discharge_mos")), 0)
    plant.run(plant.random.uniform(20, 60))
    plant.mend(pack)


def sets_less(plant: Plant) -> None:
    """Somebody sets a pack to less."""
    pack = plant.random.choice(list(plant.bank))
    before = pack.number_of("charge_current_limit")
    pack.set("charge_current_limit", before // 4)
    plant.run(plant.random.uniform(20, 60))
    pack.set("charge_current_limit", before)


def stale(plant: Plant) -> None:
    """The event loop is stuck; the thread goes on."""
    plant.feeding = False
    plant.run(plant.random.uniform(3, 90))
    plant.feeding = True


def reload(plant: Plant) -> None:
    """The entry is reloaded."""
    for message in plant.teller.farewell(plant.now):
        plant.send(message)
        plant.run(0.02)
    plant.run(plant.random.uniform(0, 5))
    plant.start()


def stop(plant: Plant) -> None:
    """Home Assistant is stopped, and started much later."""
    plant.teller.end()
    plant.run(1.0)
    plant.kill()
    plant.run(plant.random.uniform(5, 120))
    plant.revive()


def crash(plant: Plant) -> None:
    """The process dies in the middle of it, and a pack gets into trouble meanwhile."""
    plant.kill()
    alarm(plant)
    plant.revive()


def unplug(plant: Plant) -> None:
    """The inverter's cable is out for a while."""
    seconds = plant.random.uniform(3, 60)
    plant.host.drop(plant.now + seconds)
    plant.run(seconds)


def calm(plant: Plant) -> None:
    """Nothing happens, long enough for all limits to rise."""
    plant.run(80)


_TROUBLES: Final[tuple[Callable[[Plant], None], ...]] = (
    *(lose, alarm, switch, sets_less, stale, reload, stop, crash, unplug, calm),
)


@pytest.mark.parametrize(
    "language",
    [Language.PYLONTECH_1_3, Language.VICTRON, Language.GROWATT, Language.SMA],
)
def test_whatever_happens_nothing_is_held_that_is_forbidden(language: Language) -> None:
    plant = Plant(language, seed=7)
    calm(plant)
    assert plant.host.held(plant.now) is not None
    plant.random.seed(f"{language}")
    for _ in range(_ROUNDS):
        plant.random.choice(_TROUBLES)(plant)
        plant.run(plant.random.uniform(1, 40))
    calm(plant)
    calm(plant)
    assert plant.host.complaints == []
    held = plant.host.held(plant.now)
    assert held is not None
    assert held.charge > 0
    assert plant.host.timeouts > 0


@pytest.mark.parametrize("trouble", _TROUBLES, ids=lambda trouble: trouble.__name__)
def test_each_trouble_alone(trouble: Callable[[Plant], None]) -> None:
    plant = Plant(Language.DEYE, seed=3)
    calm(plant)
    held = plant.host.held(plant.now)
    assert held is not None
    assert held.charge > 0
    assert held.discharge > 0
    for _ in range(3):
        trouble(plant)
        calm(plant)
        calm(plant)
    assert plant.host.complaints == []
    held = plant.host.held(plant.now)
    assert held is not None
    assert held.charge > 0


def test_another_battery_leaves_the_inverter_to_it() -> None:
    plant = Plant(Language.DEYE, seed=3)
    calm(plant)
    plant.bus.send(frame_of(0x351, bytes.fromhex("2602000000000000")), plant.now)
    plant.run(1.0)
    assert plant.teller.status.phase is Phase.STOPPED
    plant.run(GIVES_UP_WITHIN + 1)
    assert plant.host.held(plant.now) is None


def test_the_watch_would_notice() -> None:
    """A teller that ignores a pack that is gone is caught."""
    plant = Plant(Language.DEYE, seed=3)
    calm(plant)
    well = [plant.sight(pack) for pack in plant.bank]
    plant.feeding = False
    plant.bank[2].set("alarms", 1 << 4)
    with pytest.raises(AssertionError, match=r"0\.0 A allowed"):
        _tell_the_same(plant, well, int(REACTS_WITHIN) + 5)


def _tell_the_same(plant: Plant, packs: list[PackSight], seconds: int) -> None:
    for _ in range(seconds):
        plant.teller.give(_heard_again(packs, plant.now))
        plant.run(1.0)


def _heard_again(packs: list[PackSight], now: float) -> list[PackSight]:
    return [replace(p, member=replace(p.member, heard=now)) for p in packs]
