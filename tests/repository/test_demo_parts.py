"""The parts of the demo that need no Home Assistant to run."""

from collections.abc import Mapping
from importlib.metadata import version
import json
from pathlib import Path
import socket
import sys
from typing import Any

import pytest

from scripts.lib.demo_check import same
from scripts.lib.demo_plan import BUSES, PlannedBus
from scripts.lib.demo_stage import Remembered
from scripts.lib.demo_values import STATED
from scripts.lib.entered_as import enter
from scripts.lib.ha_flow import Walk
from scripts.lib.ha_home import make_home, set_port
from scripts.lib.ha_log import complaints, is_ours
from scripts.lib.own_network import leave_network
from scripts.lib.processes import DemoError, last_words
from simulator import cli
from tests.captures import FOLDER

TIME = "2026-11-21 01:48:51.876+00:00"


def ids_in_captures() -> set[str]:
    """Return the id of every capture."""
    found: set[str] = set()
    for path in FOLDER.glob("*.json"):
        content = json.loads(path.read_text())
        found |= (
            set(content) if isinstance(content, Mapping) else {c["id"] for c in content}
        )
    return found


def test_every_value_of_the_check_names_a_capture() -> None:
    packs = [stated for stated in STATED if stated.address is not None]
    assert {stated.capture for stated in packs} <= ids_in_captures()
    assert sum(len(stated.values) for stated in packs) >= 12
    assert {(stated.title, stated.address) for stated in packs} == {
        (bus.title, address) for bus in BUSES for address in bus.addresses
    }


@pytest.mark.parametrize(
    ("state", "value", "equal"),
    [
        ("52.695", 52.695, True),
        ("55", 55, True),
        ("52.7", 52.695, False),
        ("unavailable", 55, False),
        ("on", "on", True),
        ("off", "on", False),
    ],
)
def test_states_are_compared_as_exactly_as_the_bms_gives_them(
    state: str, value: float | str, equal: bool
) -> None:
    assert same(state, value) is equal


@pytest.mark.parametrize(
    ("record", "ours"),
    [
        (
            f"{TIME} WARNING (MainThread) [custom_components.jkbms.coordinator] the line is down",
            True,
        ),
        (
            f"{TIME} ERROR (MainThread) [homeassistant] Error doing job\n"
            'Traceback (most recent call last):\n  File "custom_components/jkbms/pack.py", line 1\nValueError',
            True,
        ),
        (f"{TIME} ERROR (MainThread) [serialx.async_serial] lost", True),
        (f"{TIME} ERROR (MainThread) [can.slcan] lost", True),
        (
            f"{TIME} ERROR (MainThread) [haffmpeg.core] FFmpeg fails\nTraceback (most recent call last):\nFileNotFoundError",
            False,
        ),
    ],
)
def test_complaints_are_found(record: str, ours: bool) -> None:
    log = f"{TIME} INFO (MainThread) [homeassistant.core] hello\n{record}\n{TIME} INFO (x) [y] bye\n"
    assert list(complaints(log)) == [record]
    assert is_ours(record) is ours


@pytest.mark.parametrize(
    "record",
    [
        f"{TIME} WARNING (SyncWorker_0) [homeassistant.loader] We found a custom integration jkbms which has not been tested",
        f"{TIME} INFO (MainThread) [custom_components.jkbms.coordinator] the line is back",
    ],
)
def test_what_is_said_of_every_integration_is_no_complaint(record: str) -> None:
    assert list(complaints(f"{record}\n")) == []


def test_a_fresh_home_listens_on_this_machine_only(tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    make_home(tmp_path, port=8124, release="2026.11.0", name="Home")
    http = json.loads((tmp_path / ".storage" / "http").read_text())["data"]
    assert http["stable"]["server_host"] == ["127.0.0.1"]
    assert http["stable"]["server_port"] == 8124
    # A pending or a YAML configuration would be taken back after five minutes, for one that listens everywhere.
    assert http["pending"] is None
    assert http["yaml_migration_done"] is True
    assert "\nhttp:" not in (tmp_path / "configuration.yaml").read_text()
    assert (tmp_path / "custom_components" / "jkbms" / "manifest.json").is_file()
    assert not (tmp_path / "old").exists()


@pytest.mark.parametrize("release", ["2026.10.4", "2026.11.0"])
def test_a_home_of_each_release_can_get_another_port(
    tmp_path: Path, release: str
) -> None:
    make_home(tmp_path, port=8124, release=release, name="Home")
    set_port(tmp_path, 8125)
    stored = json.loads((tmp_path / ".storage" / "http").read_text())
    assert stored["data"]["stable"]["server_port"] == 8125


def test_a_serial_number_of_the_demo_occurs_once() -> None:
    addresses = [address for bus in BUSES for address in bus.addresses]
    assert len(addresses) == len(set(addresses))


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("planned", BUSES, ids=lambda planned: planned.title)
def test_the_simulator_takes_the_options_of_the_demo(
    planned: PlannedBus, still: bool
) -> None:
    options = cli.parser().parse_args(planned.options("127.0.0.1:0", still=still))
    served = cli.endpoint(options)
    said = cli.announcement(served)
    assert [pack["address"] for pack in said["packs"]] == [*planned.addresses]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ({"step_id": "new_menu", "menu_options": ["a", "b"]}, "'new_menu'.*a, b"),
        ({"step_id": "user", "menu_options": ["b"]}, "'user'.*'a' cannot be chosen"),
    ],
)
def test_a_menu_that_nobody_thought_of_is_named(
    step: dict[str, Any], words: str
) -> None:
    with pytest.raises(DemoError, match=words):
        Walk(choices={"user": "a"}).choice(step)


def test_a_form_is_filled_with_what_is_wanted_and_what_it_suggests() -> None:
    fields = [
        {"name": "device", "required": True},
        {"name": "interval", "required": True, "default": 5},
        {"name": "note", "optional": True},
    ]
    form = {"step_id": "port", "data_schema": fields}
    assert Walk(values={"device": "x"}).filled(form) == {"device": "x", "interval": 5}
    with pytest.raises(DemoError, match="'port'.*'device'"):
        Walk().filled(form)


def test_a_home_is_used_again_by_the_same_release_while_its_ports_are_free(
    tmp_path: Path, socket_enabled: None
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        wire = f"127.0.0.1:{taken.getsockname()[1]}"
        known = Remembered(release="2026.11.0", wires={"a": wire})
        assert Remembered.load(tmp_path, "2026.11.0") is None
        known.save(tmp_path)
        assert Remembered.load(tmp_path, "2026.11.0") is None
    assert Remembered.load(tmp_path, "2026.11.0") == known
    assert Remembered.load(tmp_path, "2026.11.1") is None


def test_a_package_is_entered_as_what_is_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "some_voice-2.1.0.dist-info"
    info.mkdir()
    text = (
        "Metadata-Version: 2.1\nName: some-voice\nVersion: 2.1.0\n\nVersion: of what\n"
    )
    (info / "METADATA").write_text(text)
    (info / "RECORD").write_text("some_voice-2.1.0.dist-info/METADATA,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    enter("other==3\nsome-voice==1.0.1\n", "some-voice")
    assert version("some-voice") == "1.0.1"
    assert "\nVersion: of what\n" in (info / "METADATA").read_text()
    enter("other==3\n", "some-voice")
    assert version("some-voice") == "1.0.1"


def test_the_end_of_a_log_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_words(log) == ""
    log.write_text("1\n2\n3\n")
    assert last_words(log, 2) == "    2\n    3\n"


@pytest.mark.skipif(sys.platform == "linux", reason="Linux has network namespaces")
def test_a_network_of_its_own_is_refused_where_there_is_none() -> None:
    with pytest.raises(OSError, match="only Linux"):
        leave_network()
