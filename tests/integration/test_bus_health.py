"""What a bus is like is told in one word, and what its owner can mend is in Repairs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import urlsplit

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from custom_components.jkbms.bus_descriptions import HEALTH_TEXTS
from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.transport.health import Health, Trouble
from simulator import (
    Bank,
    Block as SimBlock,
    SlaveLine,
    Speed,
    TcpServer,
    Writing,
    serve_tcp,
)
from simulator.can import CanBus, serve_can_tcp
from simulator.can.inverter import Dialect
from simulator.faults import Fault, Withhold

from ..simulator import trigger
from .bus import entity_id, state_of, subentry_id
from .can_house import can_entry
from .common import bus_entry, holding, issue, wait_until
from .dialog import TEXTS
from .listening import Recorded, Silent, listening, load, unload

SMART_SLEEP: Final = 1 << 6

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]


def of_bus(hass: HomeAssistant, entry: MockConfigEntry, platform: str, key: str) -> str:
    """The state of an entity of the bus."""
    found = er.async_get(hass).async_get_entity_id(
        platform, DOMAIN, f"{entry.entry_id}_{key}"
    )
    assert found is not None, f"the bus has no {platform} {key}"
    state = hass.states.get(found)
    assert state is not None, f"{found} is disabled"
    return state.state


def health(hass: HomeAssistant, entry: MockConfigEntry) -> str:
    """The one word."""
    return of_bus(hass, entry, "sensor", "health")


def is_told(
    hass: HomeAssistant, entry: MockConfigEntry, trouble: Trouble
) -> Callable[[], bool]:
    """Whether Repairs tells of a trouble of the bus, in words that can be read."""

    def told() -> bool:
        found = issue(hass, trouble, entry.entry_id)
        if found is None:
            return False
        assert not found.is_fixable
        text = TEXTS["issues"][trouble]
        figures = found.translation_placeholders or {}
        assert text["title"].format(**figures)
        assert "{" not in text["description"].format(**figures)
        return True

    return told


def is_not(told: Callable[[], bool]) -> Callable[[], bool]:
    """Whether something is not so."""
    return lambda: not told()


@asynccontextmanager
async def started(
    hass: HomeAssistant, entry: MockConfigEntry
) -> AsyncIterator[MockConfigEntry]:
    """The entry set up, whoever answers; unloaded at the end."""
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    try:
        yield entry
    finally:
        await hass.async_block_till_done()
        if entry.state is ConfigEntryState.LOADED:
            assert await hass.config_entries.async_unload(entry.entry_id)
            await hass.async_block_till_done()


def test_every_state_and_every_trouble_has_its_words() -> None:
    assert set(HEALTH_TEXTS) == set(Health)
    told = TEXTS["entity"]["sensor"]["bus_health"]["state"]
    assert set(told) == set(Health)
    assert {*Trouble, "write_ignored"} <= set(TEXTS["issues"])


async def test_a_sound_bus_is_ok_and_tells_so_on_its_own_device(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry):
        await wait_until(lambda: health(hass, entry) == "ok")
        assert of_bus(hass, entry, "binary_sensor", "connection") == "on"
        assert of_bus(hass, entry, "sensor", "mode") == "asking"
        entities = er.async_get(hass).entities.values()
        own = [e for e in entities if e.unique_id.startswith(f"{entry.entry_id}_")]
        assert {e.unique_id.removeprefix(f"{entry.entry_id}_") for e in own} == {
            "bus_load",
            "bytes_discarded",
            "connection",
            "cycle_time",
            "foreign_master",
            "health",
            "last_reconnect",
            "mode",
            "packs_found",
            "reconnects",
        }
        enabled = {e.entity_id for e in own if e.disabled_by is None}
        assert enabled == {
            "binary_sensor.gateway_connection",
            "sensor.gateway_health",
            "sensor.gateway_mode",
        }
        assert len({e.device_id for e in own}) == 1
        assert {e.config_subentry_id for e in own} == {None}


@pytest.mark.usefixtures("everything_enabled")
async def test_counters_tell_what_happened_and_change_once_a_minute_at_most(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry):
        await asyncio.sleep(70)
        events = async_capture_events(hass, "state_changed")
        await asyncio.sleep(300)
        changed: list[State] = [event.data["new_state"] for event in events]
        good = [s for s in changed if s.entity_id == "sensor.pack_1_frames_ok"]
        assert len(good) in range(4, 7)
        counts = [int(state.state) for state in good]
        # Live values every 5 s, settings every minute.
        assert counts[1] - counts[0] == pytest.approx(13, abs=2)
        assert {s.entity_id for s in changed if "gateway" in s.entity_id} <= {
            "sensor.gateway_bus_load",
            "sensor.gateway_cycle_time",
        }
        assert float(of_bus(hass, entry, "sensor", "cycle_time")) == pytest.approx(5, 1)
        assert of_bus(hass, entry, "sensor", "packs_found") == "4"
        assert of_bus(hass, entry, "sensor", "reconnects") == "0"
        assert of_bus(hass, entry, "sensor", "last_reconnect") == "unknown"
        # 4 packs of 319 bytes in 5 s, of 57600 that would fit.
        load = float(of_bus(hass, entry, "sensor", "bus_load"))
        assert load == pytest.approx(100 * 4 * 319 / 57_600, abs=0.4)
        for key in ("timeouts", "frames_bad", "frames_implausible"):
            assert state_of(hass, "sensor", 1, key).state == "0"
        assert state_of(hass, "sensor", 1, "response_time").state.isdecimal()

        bank[2].present = False
        gateway.drop_clients()
        await asyncio.sleep(130)
        assert of_bus(hass, entry, "sensor", "packs_found") == "3"
        assert of_bus(hass, entry, "sensor", "reconnects") == "1"
        assert of_bus(hass, entry, "sensor", "last_reconnect") != "unknown"
        assert int(state_of(hass, "sensor", 2, "timeouts").state) > 3
        assert health(hass, entry) == "missing"


async def test_a_gateway_that_goes_is_told_at_once_and_what_it_may_be_after_a_while(
    hass: HomeAssistant, gateway: TcpServer, entry: MockConfigEntry
) -> None:
    told = is_told(hass, entry, Trouble.GATEWAY_IN_USE)
    async with holding(hass, entry):
        await wait_until(lambda: health(hass, entry) == "ok")
        await gateway.stop()
        connection = "binary_sensor", "connection"
        await wait_until(lambda: of_bus(hass, entry, *connection) == "off", 5)
        await wait_until(lambda: health(hass, entry) == "refused", 15)
        assert not told()
        await wait_until(told, 90)
        await gateway.start()
        await wait_until(lambda: of_bus(hass, entry, *connection) == "on", 90)
        await wait_until(is_not(told), 30)
        assert health(hass, entry) == "ok"


async def test_a_gateway_that_serves_somebody_else_is_told(
    hass: HomeAssistant, bank: Bank
) -> None:
    server = TcpServer(SlaveLine(bank, speed=Speed.FAST), max_clients=1)
    async with server:
        entry = bus_entry(server.url, 1, 2, 3, 4)
        told = is_told(hass, entry, Trouble.GATEWAY_IN_USE)
        async with holding(hass, entry):
            await asyncio.sleep(60)
            server.drop_clients()
            parts = urlsplit(server.url)
            _, other = await asyncio.open_connection(parts.hostname, parts.port)
            await wait_until(told, 120)
            assert health(hass, entry) == "closed"
            other.close()
            await wait_until(is_not(told), 120)


async def test_a_gateway_that_closes_by_the_clock_is_told(
    hass: HomeAssistant, gateway: TcpServer
) -> None:
    entry = bus_entry(gateway.url, 1, poll_interval=20)
    told = is_told(hass, entry, Trouble.GATEWAY_CLOSES)
    async with holding(hass, entry):
        for _ in range(5):
            assert not told()
            await asyncio.sleep(300)
            gateway.drop_clients()
        await wait_until(told, 30)
        found = issue(hass, Trouble.GATEWAY_CLOSES, entry.entry_id)
        assert found is not None
        assert int((found.translation_placeholders or {})["seconds"]) in range(280, 302)
        await wait_until(is_not(told), 3600)


async def test_silence_is_told_with_what_to_do_after_minutes(
    hass: HomeAssistant, gateway: TcpServer, entry: MockConfigEntry
) -> None:
    told = is_told(hass, entry, Trouble.NOTHING_HEARD)
    async with holding(hass, entry):
        gateway.go_silent()
        await wait_until(lambda: health(hass, entry) == "silent", 70)
        assert not told()
        await wait_until(told, 300)
        gateway.speak()
        await wait_until(is_not(told), 60)
        await wait_until(lambda: health(hass, entry) == "ok", 120)


async def test_packs_that_sleep_are_asleep_and_no_trouble(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    for pack in bank:
        pack.set("function_word", pack.number_of("function_word") | SMART_SLEEP)
        pack.set("smart_sleep_voltage", 3450)
        pack.set("current", 0)
    async with holding(hass, entry):
        for pack in bank:
            pack.present = False
            await asyncio.sleep(200)
        await asyncio.sleep(600)
        assert health(hass, entry) == "asleep"
        assert not is_told(hass, entry, Trouble.NOTHING_HEARD)()
        for pack in bank:
            pack.present = True
        await wait_until(lambda: health(hass, entry) == "ok", 120)


class Translating(SlaveLine):
    """A gateway that takes requests for Modbus TCP and answers them itself."""

    def receive(self, data: bytes, now: float) -> None:
        self._answer = data[:4] + b"\0\3" + bytes([data[6], data[7] | 0x80, 11])

    def due(self) -> float | None:
        return 0.0 if self._answer else None

    def collect(self, now: float) -> list[bytes]:
        answer, self._answer = self._answer, b""
        return [answer] if answer else []

    _answer = b""


class Inverted(SlaveLine):
    """A line whose two wires are swapped."""

    swapped = True

    def collect(self, now: float) -> list[bytes]:
        pieces = super().collect(now)
        if not self.swapped:
            return pieces
        return [bytes(byte ^ 0xFF for byte in piece) for piece in pieces]


@pytest.mark.parametrize(
    ("kind", "trouble"),
    [(Translating, Trouble.MODBUS_GATEWAY), (Inverted, Trouble.GARBLED)],
)
async def test_bytes_without_sense_are_told_with_their_cause(
    hass: HomeAssistant, bank: Bank, kind: type[SlaveLine], trouble: Trouble
) -> None:
    async with serve_tcp(kind(bank, speed=Speed.FAST)) as server:
        entry = bus_entry(server.url, 1, 2, poll_interval=1)
        told = is_told(hass, entry, trouble)
        async with started(hass, entry):
            await wait_until(lambda: health(hass, entry) == "garbled", 200)
            assert not told()
            await wait_until(told, 200)
            if isinstance(server.line, Inverted):
                server.line.swapped = False
                await wait_until(is_not(told), 120)
                await wait_until(lambda: health(hass, entry) == "ok", 120)


@dataclass(kw_only=True)
class Damage(Fault):
    """One answer in a few damaged, until it is mended."""

    kind: ClassVar = "damage"
    how: Callable[[bytes], bytes]
    mended: bool = False
    count: int = 0

    def _damage(self, data: bytes) -> bytes:
        self.count += 1
        hit = not self.mended and len(data) > 300 and self.count % 4 == 0
        return self.how(data) if hit else data


@pytest.mark.parametrize(
    ("how", "trouble"),
    [
        (lambda d: d[:200] + bytes([d[200] ^ 4]) + d[201:], Trouble.DAMAGED_FRAMES),
        (lambda d: d[:287] + d[300:], Trouble.CUT_FRAMES),
    ],
    ids=["flipped", "cut"],
)
async def test_damage_that_lasts_is_told_and_whether_frames_are_cut(
    hass: HomeAssistant,
    bank: Bank,
    how: Callable[[bytes], bytes],
    trouble: Trouble,
) -> None:
    damage = Damage(how=how)
    line = SlaveLine(bank, speed=Speed.FAST, faults=[damage])
    async with serve_tcp(line) as server:
        entry = bus_entry(server.url, 1)
        told = is_told(hass, entry, trouble)
        async with started(hass, entry):
            await wait_until(told, 400)
            assert health(hass, entry) == "damaged"
            found = issue(hass, trouble, entry.entry_id)
            assert found is not None
            damage.mended = True
            await wait_until(is_not(told), 900)
            assert health(hass, entry) == "ok"


async def test_another_master_is_a_state_of_the_bus(
    hass: HomeAssistant, gateway: TcpServer, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry):
        await wait_until(lambda: health(hass, entry) == "ok")
        gateway._send(trigger(9))  # noqa: SLF001 - what a bus carries that no pack has sent
        await wait_until(lambda: health(hass, entry) == "foreign_master", 1)
        assert of_bus(hass, entry, "sensor", "mode") == "conflict"


async def test_a_pack_that_ignores_changes_is_told_after_the_second_one(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer
) -> None:
    entry = bus_entry(gateway.url, 1, 2, write_tier="protection")
    field = BY_KEY["cell_ovp"]
    async with holding(hass, entry) as bus:

        async def change(value: float) -> None:
            await bus.async_write(subentry_id(1), field, value)

        bank[1].writing = Writing.IGNORE
        for value in (3.61, 3.62):
            assert not issue(hass, "write_ignored", subentry_id(1))
            with pytest.raises(HomeAssistantError):
                await change(value)
        found = issue(hass, "write_ignored", subentry_id(1))
        assert found is not None
        assert found.translation_placeholders == {"bus": "Bus", "pack": "Pack 1"}
        bank[1].writing = Writing.NORMAL
        await change(3.6)
        assert not issue(hass, "write_ignored", subentry_id(1))


async def test_settings_that_cannot_be_true_are_told_and_cost_no_values(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer
) -> None:
    right = bank[1].number_of("cell_ovp")
    entry = bus_entry(gateway.url, 1, 2, poll_interval=10, write_tier="protection")
    async with holding(hass, entry) as bus:
        bank[1].set("cell_ovp", 9000)
        await wait_until(lambda: issue(hass, "settings_refused", subentry_id(1)), 600)
        found = issue(hass, "settings_refused", subentry_id(1))
        assert found is not None
        assert found.translation_placeholders == {
            "bus": "Bus",
            "pack": "Pack 1",
            "reason": "settings",
        }
        assert not issue(hass, "settings_refused", subentry_id(2))
        assert not issue(hass, "values_refused", subentry_id(1))
        station = bus.machine.stations[1]
        assert station.available
        assert hass.loop.time() - station.state.seen[Block.LIVE] < 20
        # What it holds now is not known, so nothing of it is changed.
        with pytest.raises(HomeAssistantError):
            await bus.async_write(subentry_id(1), BY_KEY["cell_ovp"], 3.6)
        assert bank[1].journal == []
        bank[1].set("cell_ovp", right)
        await wait_until(
            lambda: not issue(hass, "settings_refused", subentry_id(1)), 80
        )


async def test_a_pack_that_cannot_be_believed_at_all_is_told_once(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer
) -> None:
    right = bank[1].number_of("soc")
    async with holding(hass, bus_entry(gateway.url, 1, 2, poll_interval=10)):
        bank[1].set("soc", 150)
        bank[1].set("cell_ovp", 9000)
        await wait_until(lambda: issue(hass, "values_refused", subentry_id(1)), 600)
        await asyncio.sleep(400)
        found = issue(hass, "values_refused", subentry_id(1))
        assert found is not None
        assert found.translation_placeholders is not None
        assert found.translation_placeholders["reason"] == "state_of_charge"
        text = TEXTS["issues"]["values_refused"]
        assert "{pack}" in text["title"]
        assert not issue(hass, "settings_refused", subentry_id(1))
        bank[1].set("soc", right)
        await wait_until(lambda: not issue(hass, "values_refused", subentry_id(1)), 80)
        # What is left is told now.
        await wait_until(lambda: issue(hass, "settings_refused", subentry_id(1)), 80)


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (Block.DEVICE, "identity_missing"),
        (Block.LIVE, "values_missing"),
        (Block.SETTINGS, "settings_missing"),
    ],
)
async def test_what_a_pack_never_tells_is_told(
    hass: HomeAssistant, bank: Bank, block: Block, kind: str
) -> None:
    withhold = Withhold(address=1, block=SimBlock(block.frame_type))
    line = SlaveLine(bank, speed=Speed.FAST, faults=[withhold])
    async with serve_tcp(line) as server:
        entry = bus_entry(server.url, 1, 2, poll_interval=10)
        async with started(hass, entry):
            station = entry.runtime_data.machine.stations[1]
            await wait_until(lambda: station.heard is not None, 30)
            await asyncio.sleep(270)
            assert not issue(hass, kind, subentry_id(1))
            await wait_until(lambda: issue(hass, kind, subentry_id(1)), 60)
            found = issue(hass, kind, subentry_id(1))
            assert found is not None
            assert found.translation_placeholders == {"bus": "Bus", "pack": "Pack 1"}
            assert not found.is_fixable
            assert station.available is (block is Block.SETTINGS)
            told = {key for _, key in ir.async_get(hass).issues if "pack1" in key}
            assert told == {f"{kind}_{subentry_id(1)}"}
            line.faults = ()
            await wait_until(lambda: not issue(hass, kind, subentry_id(1)), 90)
            assert station.available


async def test_what_a_pack_has_told_once_and_never_again_is_told(
    hass: HomeAssistant, bank: Bank
) -> None:
    line = SlaveLine(bank, speed=Speed.FAST)
    async with serve_tcp(line) as server:
        entry = bus_entry(server.url, 1, 2, poll_interval=10)
        async with holding(hass, entry):
            line.faults = (Withhold(address=1),)
            await asyncio.sleep(1100)
            assert not issue(hass, "settings_missing", subentry_id(1))
            await wait_until(
                lambda: issue(hass, "settings_missing", subentry_id(1)), 200
            )


async def test_the_issues_of_a_bus_that_is_removed_go_with_it(
    hass: HomeAssistant, gateway: TcpServer, entry: MockConfigEntry
) -> None:
    told = is_told(hass, entry, Trouble.NOTHING_HEARD)
    async with holding(hass, entry):
        gateway.go_silent()
        await wait_until(told, 400)
        await hass.config_entries.async_remove(entry.entry_id)
        assert not told()


# -- listening, and CAN -----------------------------------------------------------------


@pytest.mark.usefixtures("everything_enabled")
async def test_a_bus_that_is_listened_to_has_what_listening_can_tell(
    hass: HomeAssistant,
) -> None:
    bank = Bank.default(range(3), still=True)
    async with serve_tcp(Recorded(bank)) as server:
        entry = await load(hass, listening(server.url, 0, 1, 2), 0, 1, 2)
        await asyncio.sleep(120)
        assert health(hass, entry) == "ok"
        assert of_bus(hass, entry, "sensor", "mode") == "listening"
        assert of_bus(hass, entry, "sensor", "frames_unattributed") == "0"
        for key in ("timeouts", "frames_bad", "response_time"):
            assert entity_id(hass, "sensor", 1, key) is None
        assert int(state_of(hass, "sensor", 1, "frames_ok").state) > 10
        await unload(hass, entry)


async def test_a_bus_without_its_master_is_silent(hass: HomeAssistant) -> None:
    async with serve_tcp(Silent()) as server:
        entry = listening(server.url, 1)
        told = is_told(hass, entry, Trouble.NOTHING_HEARD_LISTENING)
        async with started(hass, entry):
            await wait_until(lambda: health(hass, entry) == "silent", 120)
            await wait_until(told, 300)


@pytest.mark.parametrize(("addresses", "seconds"), [((1, 2), 70), ((), 420)])
async def test_a_can_bus_is_ok_or_silent(
    hass: HomeAssistant, addresses: tuple[int, ...], seconds: float
) -> None:
    bank = Bank.default(addresses, still=True) if addresses else Bank([])
    async with serve_can_tcp(CanBus(bank, Dialect.NATIVE)) as server:
        entry = can_entry(server, 1, 2)
        told = is_told(hass, entry, Trouble.NOTHING_HEARD_CAN)
        async with started(hass, entry):
            await asyncio.sleep(seconds)
            assert told() is not bool(addresses)
            assert health(hass, entry) == ("ok" if addresses else "silent")
            assert of_bus(hass, entry, "sensor", "mode") == "can"
            assert entity_id(hass, "sensor", 1, "frames_ok") is None
