"""Insight against the simulator: over restarts and midnight, on CAN, with files of any kind."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
import json
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE, EVENT_STATE_REPORTED
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from custom_components.jkbms.protocol.insight import INSIGHTS
from simulator import Bank, Pack
from simulator.can import CanBus, Dialect, parallel_bank, serve_can_tcp

from .bus import entity_id, state_of, subentry_id, until
from .can_house import can_entry
from .common import holding, loaded_anew, pack_of, said

SIMULATED: Final = pytest.mark.simulated_time
KEYS: Final = {datum.key for datum in INSIGHTS}
EVENING: Final = "2026-07-01 21:40:00+00:00"
"""Twenty minutes to midnight in Berlin."""

pytestmark = [SIMULATED, pytest.mark.usefixtures("socket_enabled")]


@pytest.fixture
def addresses() -> tuple[int, ...]:
    """One pack."""
    return (1,)


@pytest.fixture
def hass_storage(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Real files, in a folder of this test; the stock fixture keeps all in memory."""
    with patch("homeassistant.helpers.storage.STORAGE_DIR", str(tmp_path / "storage")):
        yield {}


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """Where Home Assistant stores things."""
    folder = tmp_path / "storage"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
async def evening(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Let it be late in Berlin."""
    await hass.config.async_set_time_zone("Europe/Berlin")
    freezer.move_to(EVENING)


async def live(freezer: FrozenDateTimeFactory, seconds: float) -> None:
    """Let time pass on both clocks."""
    for _ in range(round(seconds / 5)):
        freezer.tick(5)
        await asyncio.sleep(5)


def shown(hass: HomeAssistant, key: str) -> str:
    """The state of an insight."""
    return state_of(hass, "sensor", 1, key).state


def charge(pack: Pack) -> None:
    """Let a pack be charged and near full, cell 5 ahead."""
    pack.set("current", 5_000)
    for cell in range(pack.cell_count):
        pack.set(f"cell_voltage_{cell + 1}", 3_500 if cell == 4 else 3_460)
    pack.set("average_cell_voltage", 3_462)
    pack.set("pack_voltage", 3_460 * pack.cell_count + 40)


def fill(pack: Pack) -> None:
    """Let a pack be full."""
    charge(pack)
    pack.set("soc", 100)
    pack.set("remaining_capacity", pack.number_of("full_capacity"))


def stored(storage: Path, entry: MockConfigEntry) -> dict[str, Any]:
    """What was stored of the packs of an entry."""
    data: dict[str, Any] = json.loads(file_of(storage, entry).read_text())["data"]
    return {pack: known["insight"] for pack, known in data.items()}


def file_of(storage: Path, entry: MockConfigEntry) -> Path:
    """Where it is stored."""
    return storage / f"jkbms.packs.{entry.entry_id}"


@pytest.mark.usefixtures("everything_enabled")
async def test_a_restart_keeps_it_and_midnight_begins_a_day(
    hass: HomeAssistant,
    bank: Bank,
    entry: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    pack = bank[1]
    pack.set("balancer_state", 1)
    async with holding(hass, entry):
        assert shown(hass, "last_full") == "unknown"
        fill(pack)
        await live(freezer, 300)
        full = dt_util.utcnow()
        pack.set("current", -100_000)
        pack.set("remaining_capacity", pack.number_of("full_capacity") - 100)
        await live(freezer, 360)
        before = {key: shown(hass, key) for key in KEYS}
        assert before["balancing_minutes_today"] in ("10", "11")
        assert before["ah_since_full"] in ("9", "10")
        assert before["days_since_full"] == "0.0"
        assert before["top_cell_spread"] == "0.04"
        assert before["runaway_cell"] == "5"
        assert before["rested_cell_spread"] == "unknown"
        assert before["cell_resistance_change"] == "unknown"
        last = dt_util.parse_datetime(before["last_full"])
        assert last is not None
        assert full - timedelta(minutes=6) < last <= full
        spread = state_of(hass, "sensor", 1, "top_cell_spread").attributes
        assert full - timedelta(minutes=2) < spread["measured"] <= full
        assert spread["state_of_charge"] == 100
        leading = state_of(hass, "sensor", 1, "runaway_cell").attributes
        assert (leading["led"], leading["charges"]) == (1, 1)
    freezer.tick(60)
    await asyncio.sleep(60)
    async with holding(hass, entry):
        after = {key: shown(hass, key) for key in KEYS}
        for key in ("top_cell_spread", "runaway_cell", "ah_since_full"):
            assert after[key] == before[key]
        spread_now = state_of(hass, "sensor", 1, "top_cell_spread").attributes
        assert spread_now["measured"] == spread["measured"]
        again = dt_util.parse_datetime(after["last_full"])
        assert again is not None
        assert abs(again - full) <= timedelta(seconds=10)
        await live(freezer, 60)
        minutes = shown(hass, "balancing_minutes_today")
        assert int(before["balancing_minutes_today"]) <= int(minutes) <= 13
        now = dt_util.now()
        midnight = dt_util.start_of_local_day(now + timedelta(days=1))
        await live(freezer, (midnight - now).total_seconds() - 10)
        assert 12 <= int(shown(hass, "balancing_minutes_today")) <= 20
        await live(freezer, 30)
        assert dt_util.now().date() == midnight.date()
        assert shown(hass, "balancing_minutes_today") == "0"
        await live(freezer, 60)
        assert shown(hass, "balancing_minutes_today") == "1"


async def test_all_of_it_is_disabled_and_remembered_all_the_same(
    hass: HomeAssistant,
    bank: Bank,
    entry: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
    storage: Path,
) -> None:
    async with holding(hass, entry):
        registry = er.async_get(hass)
        for key in KEYS:
            found = registry.async_get(entity_id(hass, "sensor", 1, key) or "")
            assert found is not None
            assert found.disabled_by is er.RegistryEntryDisabler.INTEGRATION
        fill(bank[1])
        await live(freezer, 30)
    last_full = stored(storage, entry)[subentry_id(1)]["last_full"]
    known = dt_util.parse_datetime(last_full)
    assert known is not None
    assert dt_util.utcnow() - known < timedelta(seconds=20)


@pytest.mark.usefixtures("everything_enabled")
async def test_a_state_is_written_only_when_it_is_another(
    hass: HomeAssistant,
    bank: Bank,
    entry: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    bank[1].set("current", 0)
    async with holding(hass, entry):
        fill(bank[1])
        await live(freezer, 60)
        ids = {entity_id(hass, "sensor", 1, key) for key in KEYS}
        again: list[Any] = []
        hass.bus.async_listen(
            EVENT_STATE_REPORTED,
            callback(lambda event: again.append(event)),
            callback(lambda data: data["entity_id"] in ids),
        )
        changed = async_capture_events(hass, "state_changed")
        await live(freezer, 300)
        assert again == []
        written = [e.data["entity_id"] for e in changed if e.data["entity_id"] in ids]
        # A measurement a minute: the difference is the same, its time is another.
        assert written == [entity_id(hass, "sensor", 1, "top_cell_spread")] * 5


# -- files ----------------------------------------------------------------------------


async def test_it_is_stored_every_quarter_of_an_hour_and_at_the_end(
    hass: HomeAssistant,
    bank: Bank,
    entry: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
    storage: Path,
) -> None:
    bank[1].set("balancer_state", 1)
    async with holding(hass, entry):
        assert not file_of(storage, entry).exists()
        await live(freezer, 910)
        first = stored(storage, entry)[subentry_id(1)]["balanced"]
        assert 880 <= first <= 910
        await live(freezer, 60)
        assert stored(storage, entry)[subentry_id(1)]["balanced"] == first
        hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
        await hass.async_block_till_done()
        assert stored(storage, entry)[subentry_id(1)]["balanced"] >= first + 50


async def test_what_has_not_changed_is_not_stored_again(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry, storage: Path
) -> None:
    bank[1].set("balancer_state", 1)
    async with holding(hass, entry):
        for seconds, is_stored in ((10, True), (0, False), (10, True)):
            await asyncio.sleep(seconds)
            file_of(storage, entry).unlink(missing_ok=True)
            hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
            await hass.async_block_till_done()
            assert file_of(storage, entry).exists() is is_stored


DAMAGED: Final = {
    "no json": b'{"version": 1, "data": {"pa',
    "nothing": b"",
    "no text": b"\xff\xfe\x00\x80",
    "a list": b"[1, 2]",
    "a number": b"7",
    "no version": b'{"data": {}}',
    "no data": b'{"version": 1, "minor_version": 1}',
    "another version": b'{"version": 0, "minor_version": 1, "data": {}}',
    "a newer version": b'{"version": 9, "minor_version": 1, "data": {}}',
    "a version in words": b'{"version": "x", "data": {}}',
    "a list as data": b'{"version": 1, "minor_version": 1, "data": []}',
    "a word as a pack": b'{"version": 1, "minor_version": 1, "data": {"pack1": "x"}}',
    "a word as an insight": b'{"version": 1, "data": {"pack1": {"insight": "x"}}}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
async def test_a_damaged_file_is_replaced_and_stops_nothing(
    hass: HomeAssistant,
    bank: Bank,
    entry: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
    storage: Path,
    content: bytes,
) -> None:
    file_of(storage, entry).write_bytes(content)
    async with holding(hass, entry):
        fill(bank[1])
        await live(freezer, 30)
        assert pack_of(entry, 1).insight.values["last_full"]
    assert stored(storage, entry)[subentry_id(1)]["last_full"]


async def test_a_file_that_cannot_be_used_is_told_in_the_log(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    storage: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file_of(storage, entry).write_bytes(DAMAGED["a list"])
    async with holding(hass, entry):
        assert said(caplog, "what was remembered", "cannot be used")


@pytest.mark.parametrize("addresses", [(1, 2)])
async def test_what_is_remembered_goes_with_the_pack_and_with_the_entry(
    hass: HomeAssistant,
    bank: Bank,
    entry: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
    storage: Path,
) -> None:
    async with holding(hass, entry) as before:
        for address in (1, 2):
            bank[address].set("balancer_state", 1)
        await live(freezer, 30)
        hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
        await hass.async_block_till_done()
        assert set(stored(storage, entry)) == {subentry_id(1), subentry_id(2)}
        assert hass.config_entries.async_remove_subentry(entry, subentry_id(2))
        await loaded_anew(hass, entry, before)
        assert set(stored(storage, entry)) == {subentry_id(1)}
    assert await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert not file_of(storage, entry).exists()


# -- CAN ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "address", "offered"),
    [
        (Dialect.NATIVE, 1, KEYS - {"cell_resistance_change"}),
        (Dialect.PYLON, 0x100, set()),
    ],
)
async def test_on_can_a_pack_gets_what_can_follow_from_what_it_tells(
    hass: HomeAssistant, dialect: Dialect, address: int, offered: set[str]
) -> None:
    bank = parallel_bank((1,), still=True)
    bus = CanBus(bank, dialect, inverter=not dialect.native)
    async with serve_can_tcp(bus) as server:
        entry = can_entry(server, address)
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        await until(lambda: entity_id(hass, "sensor", address, "energy_charged"))
        await hass.async_block_till_done()
        has = {key for key in KEYS if entity_id(hass, "sensor", address, key)}
        assert has == offered
        assert await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_block_till_done()
