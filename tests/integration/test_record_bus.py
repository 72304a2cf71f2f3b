"""What crossed a bus, in a file or in the diagnostics: fit to be shown, and to be played again."""

import asyncio
import json
from pathlib import Path
import time
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.json import JSONEncoder
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.diagnostics import async_get_config_entry_diagnostics
from scripts.lib.decode import main
from simulator import (
    PASSWORD,
    PIN,
    Bank,
    ReplayLine,
    SlaveLine,
    Speed,
    TcpServer,
    load_capture,
    parse_fault,
    serve_tcp,
)
from simulator.can import CanBus, serve_can_tcp
from simulator.can.candump import parse_candump
from simulator.can.inverter import Dialect

from .bus import subentry_id
from .can_house import can_entry
from .common import bus_entry, holding, wait_until
from .dialog import TEXTS
from .house import House, controlled
from .listening import listening, load, unload

pytestmark = [
    pytest.mark.simulated_time,
    pytest.mark.usefixtures("socket_enabled"),
]

SECRETS: Final = (PIN, PASSWORD)


@pytest.fixture(autouse=True)
def config_dir(hass: HomeAssistant, tmp_path: Path) -> Path:
    """A folder of configuration for each test."""
    hass.config.config_dir = str(tmp_path)
    return tmp_path


async def record(
    hass: HomeAssistant, entry_id: str, duration: float = 20, **data: Any
) -> dict[str, Any]:
    """Call the action and return what it says."""
    told = await hass.services.async_call(
        DOMAIN,
        "record_bus",
        {"config_entry_id": entry_id, "duration": duration, **data},
        blocking=True,
        return_response=True,
    )
    assert isinstance(told, dict)
    return told


def decoded(path: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What `scripts/decode` says of a file."""
    capsys.readouterr()
    assert main([path]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def as_downloaded(report: dict[str, Any]) -> str:
    """The text of a file of diagnostics."""
    return json.dumps(report, indent=2, cls=JSONEncoder)


def assert_no_secret(text: str, bank: Bank) -> None:
    """Look for the secrets of every pack, in words and in bytes."""
    for secret in (*SECRETS, *(pack.serial for pack in bank)):
        assert secret not in text
        assert secret.encode().hex() not in text.lower()


async def test_a_recording_tells_what_the_packs_said_and_nothing_private(
    hass: HomeAssistant,
    bank: Bank,
    gateway: TcpServer,
    entry: MockConfigEntry,
    config_dir: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with holding(hass, entry) as bus:
        # Everything is asked for again, with the secrets in it.
        recording = asyncio.create_task(record(hass, entry.entry_id))
        await wait_until(lambda: bus.recording)
        before = time.time()
        gateway.drop_clients()
        told = await recording
    path = Path(told["path"])
    assert path.parent == config_dir / "jkbms"
    assert path.name.startswith("master_")
    assert told["complete"] is True
    assert told["lost"] == 0
    text = path.read_text()
    assert_no_secret(text, bank)
    assert "in 55AAEB90" in text
    lines = decoded(str(path), capsys)
    assert told["frames"] == sum(
        line["type"] in ("live", "settings", "device") for line in lines
    )
    assert {line["address"] for line in lines if line["type"] == "device"} == {
        1,
        2,
        3,
        4,
    }
    live = next(x for x in lines if x["type"] == "live" and x["address"] == 1)
    assert live["values"]["total_voltage"] == bank[1].number_of("pack_voltage") / 1000
    assert abs(live["time"] - before) < 60
    assert all(line["sent"] for line in lines if line["type"] == "request")
    assert told["bytes"] > 300 * told["frames"]


async def test_damaged_frames_tell_nothing_private_either(
    hass: HomeAssistant, bank: Bank, config_dir: Path
) -> None:
    faults = [parse_fault("torn:rate=0.3"), parse_fault("flip:rate=0.002")]
    line = SlaveLine(bank, speed=Speed.FAST, faults=faults, seed=3)
    async with serve_tcp(line) as server:
        entry = bus_entry(server.url, 1, 2, 3, 4, poll_interval=1)
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        recording = asyncio.create_task(record(hass, entry.entry_id, 120))
        for _ in range(10):
            await asyncio.sleep(10)
            server.drop_clients()
        told = await recording
        report = await async_get_config_entry_diagnostics(hass, entry)
        assert await hass.config_entries.async_unload(entry.entry_id)
    text = Path(told["path"]).read_text()
    assert "damaged" in text
    assert_no_secret(text, bank)
    for secret in (*SECRETS, *(pack.serial for pack in bank)):
        for at in range(len(secret) - 3):
            assert secret[at : at + 4].encode().hex().upper() not in text
    assert_no_secret(json.dumps(report["recorded"]), bank)


async def test_a_recording_is_played_to_a_bus_that_listens(
    hass: HomeAssistant, bank: Bank, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry):
        told = await record(hass, entry.entry_id, 70)
    line = ReplayLine(load_capture(told["path"]))
    async with serve_tcp(line) as server:
        listener = listening(server.url, 1, 2, 3, 4)
        await load(hass, listener, 1, 2, 3, 4)
        pack = listener.runtime_data.packs[subentry_id(2)]
        volts = bank[2].number_of("pack_voltage") / 1000
        assert pack.station.state.values["total_voltage"] == volts
        # The times of the recording are kept: four packs every 5 s.
        await asyncio.sleep(40)
        assert pack.station.cycle == pytest.approx(5.0, abs=0.5)
        await unload(hass, listener)


async def test_diagnostics_hold_the_last_frames_and_can_be_played_and_decoded(
    hass: HomeAssistant,
    bank: Bank,
    entry: MockConfigEntry,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with holding(hass, entry):
        await asyncio.sleep(300)
        report = await async_get_config_entry_diagnostics(hass, entry)
    recorded = report["recorded"]
    assert sum("in 55AAEB90" in line for line in recorded) in range(60, 66)
    assert_no_secret(as_downloaded(report), bank)
    # As it is downloaded.
    file = tmp_path / "config_entry-jkbms.json"
    file.write_text(as_downloaded({"home_assistant": {}, "data": report}))
    lines = decoded(str(file), capsys)
    assert {line["address"] for line in lines if line["type"] == "live"} == {1, 2, 3, 4}
    times = [line["time"] for line in lines]
    assert times == sorted(times)
    async with serve_tcp(ReplayLine(load_capture(str(file)))) as server:
        listener = listening(server.url, 1, 2)
        listener.add_to_hass(hass)
        assert await hass.config_entries.async_setup(listener.entry_id)
        await wait_until(
            lambda: all(p.available for p in listener.runtime_data.packs.values())
        )
        await unload(hass, listener)


class TestControlLine:
    """A bus of a master, and a second line to its packs."""

    @pytest.fixture
    def bank(self) -> Bank:
        """One of them is the master."""
        return Bank.default(range(4), still=True)

    async def test_a_control_line_is_recorded_by_its_name(
        self,
        hass: HomeAssistant,
        house: House,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        await controlled(hass, house)
        entry = house.entry
        told = await record(hass, entry.entry_id, control_line=house.control.title)
        assert Path(told["path"]).name.startswith("control_")
        assert "out " in Path(told["path"]).read_text()
        with pytest.raises(ServiceValidationError) as refused:
            await record(hass, entry.entry_id, control_line="attic")
        assert refused.value.translation_key == "recording_line"
        file = tmp_path / "diagnostics.json"
        report = await async_get_config_entry_diagnostics(hass, entry)
        file.write_text(as_downloaded(report))
        lines = decoded(str(file), capsys)
        assert {line.get("line") for line in lines} == {None, house.control.subentry_id}


async def test_one_line_is_recorded_once_at_a_time(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry) as bus:
        first = asyncio.create_task(record(hass, entry.entry_id))
        await wait_until(lambda: bus.recording)
        with pytest.raises(ServiceValidationError) as refused:
            await record(hass, entry.entry_id)
        assert refused.value.translation_key == "recording"
        assert (await first)["complete"]
        assert (await record(hass, entry.entry_id, 2))["complete"]


async def test_a_recording_ends_with_its_bus(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    async with holding(hass, entry) as bus:
        recording = asyncio.create_task(record(hass, entry.entry_id, 600))
        await wait_until(lambda: bus.recording)
        await asyncio.sleep(15)
        assert await hass.config_entries.async_unload(entry.entry_id)
        told = await recording
        assert told["complete"] is False
        assert told["frames"] >= 8
        assert Path(told["path"]).read_text().count("\n") >= told["frames"]


@pytest.mark.parametrize(
    ("entry_id", "key"), [("nobody", "recording_entry"), ("", "recording_not_loaded")]
)
async def test_what_is_not_there_cannot_be_recorded(
    hass: HomeAssistant, entry: MockConfigEntry, entry_id: str, key: str
) -> None:
    async with holding(hass, entry):
        pass
    with pytest.raises(ServiceValidationError) as refused:
        await record(hass, entry_id or entry.entry_id)
    assert refused.value.translation_key == key
    text = TEXTS["exceptions"][key]["message"]
    assert text.format(**refused.value.translation_placeholders or {})


async def test_an_entry_of_another_integration_cannot_be_recorded(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    other = MockConfigEntry(domain="other")
    other.add_to_hass(hass)
    async with holding(hass, entry):
        with pytest.raises(ServiceValidationError) as refused:
            await record(hass, other.entry_id)
    assert refused.value.translation_key == "recording_entry"


@pytest.mark.parametrize("duration", [0, 601, "long"])
async def test_a_recording_lasts_ten_minutes_at_most(
    hass: HomeAssistant, entry: MockConfigEntry, duration: Any
) -> None:
    async with holding(hass, entry):
        with pytest.raises(probatio.Invalid):
            await record(hass, entry.entry_id, duration)


async def test_a_folder_that_cannot_be_written_is_told(
    hass: HomeAssistant, entry: MockConfigEntry, config_dir: Path
) -> None:
    (config_dir / "jkbms").write_text("in the way")
    async with holding(hass, entry) as bus:
        with pytest.raises(HomeAssistantError) as failed:
            await record(hass, entry.entry_id)
        assert failed.value.translation_key == "recording_file"
        assert bus.recording is None


async def test_a_can_bus_is_recorded_as_candump_does_it(
    hass: HomeAssistant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bank = Bank.default((1, 2), still=True)
    async with serve_can_tcp(CanBus(bank, Dialect.NATIVE)) as server:
        entry = can_entry(server, 1, 2)
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        told = await record(hass, entry.entry_id, 10)
        report = await async_get_config_entry_diagnostics(hass, entry)
        assert await hass.config_entries.async_unload(entry.entry_id)
    path = Path(told["path"])
    assert path.name.startswith("can_")
    frames = parse_candump(path.read_text())
    assert told["frames"] == len(frames) > 200
    assert frames[-1][0] == pytest.approx(10, abs=1)
    file = tmp_path / "diagnostics.json"
    file.write_text(as_downloaded({"data": report}))
    lines = decoded(str(file), capsys)
    assert {line["address"] for line in lines if line["type"] == "can"} == {1, 2}
    assert parse_candump(load_capture(str(file)).decode())
