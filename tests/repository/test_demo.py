"""The parts of the demo that need no Home Assistant to run; scripts/demo --check runs the rest."""

from collections.abc import Mapping
import json
from pathlib import Path
import sys

import pytest

from scripts.lib.demo_check import STATED, complaints, same
from scripts.lib.demo_home import make_home
from scripts.lib.demo_network import leave_network
from scripts.lib.demo_process import last_words
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
    assert {stated.capture for stated in STATED} <= ids_in_captures()
    assert sum(len(stated.values) for stated in STATED) >= 12
    assert {stated.address for stated in STATED} == {1, 2, 3, 4}


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
    "record",
    [
        f"{TIME} WARNING (MainThread) [custom_components.jkbms.coordinator] the line is down",
        f"{TIME} ERROR (MainThread) [homeassistant] Error doing job\n"
        'Traceback (most recent call last):\n  File "custom_components/jkbms/pack.py", line 1\nValueError',
        f"{TIME} ERROR (MainThread) [serialx.async_serial] lost",
    ],
)
def test_complaints_about_the_integration_are_found(record: str) -> None:
    log = f"{TIME} INFO (MainThread) [homeassistant.core] hello\n{record}\n{TIME} INFO (x) [y] bye\n"
    assert list(complaints(log)) == [record]


@pytest.mark.parametrize(
    "record",
    [
        f"{TIME} WARNING (SyncWorker_0) [homeassistant.loader] We found a custom integration jkbms which has not been tested",
        f"{TIME} ERROR (MainThread) [haffmpeg.core] FFmpeg fails\nTraceback (most recent call last):\nFileNotFoundError",
        f"{TIME} INFO (MainThread) [custom_components.jkbms.coordinator] the line is back",
    ],
)
def test_other_complaints_are_not_ours(record: str) -> None:
    assert list(complaints(f"{record}\n")) == []


def test_a_fresh_home_listens_on_this_machine_only(tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    make_home(tmp_path, 8124)
    http = json.loads((tmp_path / ".storage" / "http").read_text())["data"]
    assert http["stable"]["server_host"] == ["127.0.0.1"]
    assert http["stable"]["server_port"] == 8124
    # A pending or a YAML configuration would be taken back after five minutes, for one that listens everywhere.
    assert http["pending"] is None
    assert http["yaml_migration_done"] is True
    assert "\nhttp:" not in (tmp_path / "configuration.yaml").read_text()
    assert (tmp_path / "custom_components" / "jkbms" / "manifest.json").is_file()
    assert not (tmp_path / "old").exists()


def test_the_end_of_a_log_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_words(log) == ""
    log.write_text("1\n2\n3\n")
    assert last_words(log, 2) == "    2\n    3\n"


@pytest.mark.skipif(sys.platform == "linux", reason="Linux has network namespaces")
def test_a_network_of_its_own_is_refused_where_there_is_none() -> None:
    with pytest.raises(OSError, match="only Linux"):
        leave_network()
