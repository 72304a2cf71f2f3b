"""Waking the entities of 16 packs when values have changed, beside the stock pattern."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from time import thread_time
from typing import Any, Final, override

from homeassistant.const import CONF_DEVICE, EVENT_STATE_CHANGED, Platform
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers.entity_component import DATA_INSTANCES
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from custom_components.jkbms.coordinator import BusCoordinator
from custom_components.jkbms.descriptions import PackDescription
from custom_components.jkbms.entity import PackEntity
from custom_components.jkbms.pack import Pack
from custom_components.jkbms.protocol.datum import Block, Datum, Field
from custom_components.jkbms.protocol.state import Update

from .home import PACKS, bank, bus, home
from .measure import Effort, Samples, undisturbed
from .report import Figure, Goal, timed
from .stock import Place, StockEntity, Values, Wanted, add_stock

_SHARES: Final = (0, 20, 100)
"""Percent of the values that changed."""
_CYCLE: Final = 1.0
"""Seconds between two answers of a pack."""
_TURNS: Final = 4
"""Answers after which each pack has told what follows from values over time."""
_GOALS: Final = {0: Goal(0.02), 20: Goal(0.35)}
"""0.2 and 3.8 ms on a machine on which the stock pattern takes 10 and 11 ms."""
_BLOCKS: Final = {20: (Goal(0.058),), 100: (Goal(0.143),)}
"""0.6 and 1.6 ms there."""


def run(effort: Effort) -> Iterator[Figure]:
    """Measure both ways in one Home Assistant."""
    yield from asyncio.run(_measured(effort))


async def _measured(effort: Effort) -> list[Figure]:
    wire = ("--tcp", "127.0.0.1:0", "--speed", "fast", "--still")
    async with home() as hass, bank(*wire) as port:
        data = {CONF_DEVICE: f"socket://127.0.0.1:{port}"}
        async with bus(hass, data) as coordinator:
            shown = _shown(hass, coordinator)
            targets = (
                _Floor(hass, shown),
                stock := await _Stock.set_up(hass, shown),
                _Least(stock),
                _Ours(coordinator, shown),
            )
            runs = [
                _Run(target, share, [one.place for one in _part(shown, share)])
                for share in _SHARES
                for target in targets
            ]
            await hass.async_block_till_done()
            following = _following(hass, coordinator, shown)
            for one in runs:
                _prove(hass, one, following)
            whole, longest = _race(runs, effort)
    return [
        Figure(name="entities with live values", value=len(shown), unit=""),
        Figure(
            name="entities of values that follow from others",
            value=sum(one.follows for one in shown),
            unit="",
        ),
        *_figures(whole, longest),
    ]


def _figures(
    whole: Mapping[str, Samples], longest: Mapping[str, Samples]
) -> Iterator[Figure]:
    for share in _SHARES:
        floor, least, stock, own = (
            kind.name.format(share) for kind in (_Floor, _Least, _Stock, _Ours)
        )
        if share:
            yield timed(floor, whole, "ms", floor=stock)
            yield timed(least, whole, "ms", floor=stock)
        yield timed(stock, whole, "ms")
        goals = (_GOALS[share],) if share in _GOALS else ()
        yield timed(own, whole, "ms", *goals, floor=stock)
        block = f"{share} %: longest block of that, one of {PACKS} packs"
        blocks = {block: longest[own], stock: longest[stock]}
        yield timed(block, blocks, "ms", *_BLOCKS.get(share, ()), floor=stock)


# -- what is changed ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shown:
    """An entity, and the value of a pack that it shows."""

    platform: Platform
    entity_id: str
    pack: Pack
    description: PackDescription
    value: Any
    follows: bool
    """Whether the value follows from others, as energy does from power."""

    @property
    def place(self) -> Place:
        return self.pack.subentry_id, self.description.datum.key


def _shown(hass: HomeAssistant, coordinator: BusCoordinator) -> list[_Shown]:
    """Return the enabled entities of live values; the others change once in years."""
    return [
        _Shown(
            platform,
            entity.entity_id,
            entity.pack,
            entity.entity_description,
            entity.reading,
            entity.pack.get(entity.entity_description.datum) is None,
        )
        for platform in (Platform.SENSOR, Platform.BINARY_SENSOR)
        for entity in hass.data[DATA_INSTANCES][platform].entities
        if isinstance(entity, PackEntity)
        and entity.coordinator is coordinator
        and _is_live(entity.entity_description.datum)
        and entity.reading is not None
    ]


def _is_live(datum: Datum[Any]) -> bool:
    return not isinstance(datum, Field) or datum.block is Block.LIVE


def _part(shown: list[_Shown], share: int) -> list[_Shown]:
    """Return so many percent of the values that a pack tells, of all kinds and all packs.

    What is on or off lasts: that a hundred alarms come or MOSFETs switch at once is no
    usual update.
    """
    told = [one for one in shown if not one.follows]
    steady = [one for one in told if isinstance(one.value, bool)]
    moving = [one for one in told if not isinstance(one.value, bool)]
    random = Random(share)
    random.shuffle(moving)
    return (moving + steady)[: len(told) * share // 100]


def _other(description: PackDescription, value: Any) -> Any:
    """Return another value of the same kind."""
    options = description.datum.options
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case date():
            return value + timedelta(days=1)
        case str() if options:
            return next(option for option in options if option != value)
        case _:
            return f"{value}+"


# -- ways of telling Home Assistant ---------------------------------------------------


class _Target:
    """Where values change to and fro."""

    name: str
    """With a place for the share that changes."""

    def __init__(self, shown: list[_Shown]) -> None:
        """Begin with what is shown now."""
        self.values: dict[Place, Any] = {}
        self._others: dict[Place, Any] = {}
        for one in shown:
            self.values[one.place] = one.value
            self._others[one.place] = _other(one.description, one.value)

    def change(self, places: Iterable[Place]) -> None:
        """Let these values be other ones from now on."""
        for place in places:
            self.values[place], self._others[place] = (
                self._others[place],
                self.values[place],
            )

    def tell(self, places: list[Place]) -> list[float]:
        """Tell that these values have changed; return the CPU seconds of each block."""
        raise NotImplementedError

    def settle(self) -> None:
        """Let be told what is told later, for it is no part of the next update."""


class _Floor(_Target):
    """Nothing but the states that change."""

    name = "{} % floor: changed states put into the state machine"

    def __init__(self, hass: HomeAssistant, shown: list[_Shown]) -> None:
        super().__init__(shown)
        self._set = hass.states.async_set
        self._states = {
            one.place: (f"{one.entity_id}_floor", state.attributes)
            for one in shown
            if (state := hass.states.get(one.entity_id))
        }
        self.tell(list(self.values))

    @override
    def tell(self, places: list[Place]) -> list[float]:
        states = [(*self._states[place], str(self.values[place])) for place in places]
        begin = thread_time()
        for entity_id, attributes, state in states:
            self._set(entity_id, state, attributes)
        return [thread_time() - begin]


class _Ours(_Target):
    """The coordinator of the bus, pack by pack, as answers arrive."""

    name = "{} %: one update per pack, only what has changed is woken"

    def __init__(self, coordinator: BusCoordinator, shown: list[_Shown]) -> None:
        super().__init__(shown)
        self._coordinator = coordinator

    @override
    def tell(self, places: list[Place]) -> list[float]:
        changed: dict[str, set[str]] = {pack: set() for pack in self._coordinator.packs}
        for subentry_id, key in places:
            pack = self._coordinator.packs[subentry_id]
            pack.station.state.values[key] = self.values[subentry_id, key]
            changed[subentry_id].add(key)
        # Also where nothing has changed, energy is counted over the time between.
        for pack in self._coordinator.packs.values():
            pack.station.state.seen[Block.LIVE] += _CYCLE
        updates = [
            (self._coordinator.packs[pack], Update(Block.LIVE, frozenset(keys)))
            for pack, keys in changed.items()
        ]
        blocks = []
        for pack, update in updates:
            begin = thread_time()
            pack.updated(update)
            self._coordinator.told(pack, update)
            blocks.append(thread_time() - begin)
        return blocks

    @override
    def settle(self) -> None:
        for _ in range(_TURNS):
            self.tell([])


class _Stock(_Target):
    """The usual pattern: one coordinator, and every entity writes its state."""

    name = "{} % stock: one coordinator update, every entity writes"

    def __init__(
        self,
        shown: list[_Shown],
        coordinator: DataUpdateCoordinator[Values],
        entities: list[StockEntity],
    ) -> None:
        super().__init__(shown)
        self._coordinator = coordinator
        self.entities = {entity.place: entity for entity in entities}
        coordinator.data = self.values

    @classmethod
    async def set_up(cls, hass: HomeAssistant, shown: list[_Shown]) -> _Stock:
        """Add as many entities as there are, with the same descriptions."""
        wanted = [
            Wanted(one.platform, one.pack.subentry_id, one.description) for one in shown
        ]
        values = {one.place: one.value for one in shown}
        return cls(shown, *await add_stock(hass, wanted, values))

    @override
    def tell(self, places: list[Place]) -> list[float]:
        begin = thread_time()
        self._coordinator.async_update_listeners()
        return [thread_time() - begin]


class _Least(_Target):
    """What Home Assistant takes to write the states that change, and nothing else."""

    name = "{} % least: just the entities that changed write, in the usual pattern"

    def __init__(self, stock: _Stock) -> None:
        """Write some of the entities that exist."""
        self._stock = stock

    @override
    def change(self, places: Iterable[Place]) -> None:
        self._stock.change(places)

    @override
    def tell(self, places: list[Place]) -> list[float]:
        entities = [self._stock.entities[place] for place in places]
        begin = thread_time()
        for entity in entities:
            entity.async_write_ha_state()
        return [thread_time() - begin]


# -- measuring ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Run:
    """A way, and the values that change in it."""

    target: _Target
    share: int
    places: list[Place]

    @property
    def name(self) -> str:
        return self.target.name.format(self.share)

    def update(self) -> list[float]:
        """Return the CPU seconds of each block of a full update."""
        self.target.change(self.places)
        return self.target.tell(self.places)


def _following(
    hass: HomeAssistant, coordinator: BusCoordinator, shown: list[_Shown]
) -> set[str]:
    """Return the entities that may change with others: the stock pattern does not follow."""
    return {
        entity.entity_id
        for platform in (Platform.SENSOR, Platform.BINARY_SENSOR, Platform.EVENT)
        for entity in hass.data[DATA_INSTANCES][platform].entities
        if isinstance(entity, PackEntity)
        and entity.coordinator is coordinator
        and not isinstance(entity.entity_description.datum, Field)
    } - {one.entity_id for one in shown if not one.follows}


def _prove(hass: HomeAssistant, run: _Run, following: set[str]) -> None:
    """See that just those states change that should, and what follows from them."""
    changed: set[str] = set()

    @callback
    def note(event: Event[Any]) -> None:
        changed.add(event.data["entity_id"])

    stop = hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    run.update()
    stop()
    changed -= following
    if len(changed) != len(run.places):
        raise RuntimeError(
            f"{run.name}: {len(changed)} states changed, not {len(run.places)}"
        )


def _race(
    runs: list[_Run], effort: Effort
) -> tuple[dict[str, Samples], dict[str, Samples]]:
    """Return the CPU time of full updates, and of their longest blocks, by name."""
    whole: dict[str, list[float]] = {run.name: [] for run in runs}
    longest: dict[str, list[float]] = {run.name: [] for run in runs}
    random = Random(1)
    with undisturbed():
        for _ in range(effort.rounds):
            random.shuffle(runs)
            for run in runs:
                blocks = run.update()
                run.target.settle()
                whole[run.name].append(sum(blocks))
                longest[run.name].append(max(blocks))
    return _sampled(whole), _sampled(longest)


def _sampled(taken: Mapping[str, list[float]]) -> dict[str, Samples]:
    return {name: Samples(tuple(seconds)) for name, seconds in taken.items()}
