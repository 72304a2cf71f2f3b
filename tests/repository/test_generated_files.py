"""What is written from the table of values is up to date, and can be told when it is not."""

import json
from pathlib import Path
import shutil
from typing import Final

import pytest

from scripts.lib.generate import LIST, TEXTS, main

ROOT: Final = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what is generated."""
    for target in (TEXTS, LIST):
        (tmp_path / target).parent.mkdir(parents=True)
        shutil.copy(ROOT / target, tmp_path / target)
    return tmp_path


def test_generated_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert capsys.readouterr().err == ""


def test_stale_files_are_named_and_left_alone(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / LIST).write_text("something else")
    assert main(["--check"], copy) == 1
    assert (
        capsys.readouterr().err == "docs/entities.md is stale: run scripts/generate\n"
    )
    assert (copy / LIST).read_text() == "something else"


def test_a_name_that_was_edited_by_hand_is_stale_and_is_put_right(copy: Path) -> None:
    texts = json.loads((copy / TEXTS).read_text())
    texts["entity"]["sensor"]["current"]["name"] = "Amps"
    (copy / TEXTS).write_text(json.dumps(texts))
    assert main(["--check"], copy) == 1
    assert main([], copy) == 0
    assert main(["--check"], copy) == 0
    texts = json.loads((copy / TEXTS).read_text())
    assert texts["entity"]["sensor"]["current"]["name"] == "Battery current"


def test_texts_of_other_kinds_stay_as_they_are_and_where_they_are(copy: Path) -> None:
    (copy / TEXTS).write_text(
        json.dumps(
            {
                "title": "JK BMS",
                "entity": {},
                "config": {"step": {"user": {"title": "Über"}}},
            }
        )
    )
    assert main([], copy) == 0
    text = (copy / TEXTS).read_text(encoding="utf-8")
    texts = json.loads(text)
    assert list(texts) == ["title", "entity", "config"]
    assert texts["config"] == {"step": {"user": {"title": "Über"}}}
    assert "Über" in text


def test_files_that_are_missing_are_written(tmp_path: Path) -> None:
    assert main([], tmp_path) == 0
    assert list(json.loads((tmp_path / TEXTS).read_text())) == ["entity"]
    assert (tmp_path / LIST).read_text() == (ROOT / LIST).read_text()


def test_the_list_names_every_register_range_and_tier() -> None:
    lines = (ROOT / LIST).read_text().splitlines()
    rows = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
    assert rows["total_voltage"] == (
        "| `total_voltage` | Battery voltage | V | yes |  | 0x1290 |  |"
    )
    assert rows["cell_voltage_1"].endswith("| if fitted |  | 0x1200 … 0x123E |  |")
    assert rows["charge_status"] == (
        "| `charge_status` | Charge phase | bulk, absorption, float | yes |  "
        "| 0x1312 | from 15.00 |"
    )
    assert rows["short_circuit_delay"] == (
        "| `short_circuit_delay` | SCP delay | number | μs | 0 to 1000000 | 1 "
        "| protection | no | no | 0x1080 |  |"
    )
    assert "| everyday | if fitted | if fitted | 0x1114.0 |" in rows["heater"]
    assert rows["port_switch"] == (
        "| `port_switch` | Port switch | by an action |  |  |  | danger |  | no "
        "| 0x1114.3 |  |"
    )
    assert rows["online"].endswith("| yes | diagnostic | Home Assistant |  |")
