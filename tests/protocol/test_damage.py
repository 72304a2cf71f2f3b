"""Hours of a line that damages bytes: nothing is published that was not sent."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.state import BmsState
from scripts.lib.lively import LivelyPack
from scripts.lib.soak.__main__ import failures, main
from scripts.lib.soak.damaged import Damage, Damager, Endurance, damaged
import simulator

_HOUR = 3600.0


def run(hours: float, damage: Damage, seed: int = 1, packs: int = 5) -> dict[str, Any]:
    bus = Endurance(packs=packs, damage=damage, seed=seed)
    bus.run(hours * _HOUR)
    return bus.report()


@pytest.mark.parametrize(
    ("hours", "damage"),
    [
        (0.6, Damage(replaced=0.01)),
        (0.25, Damage(replaced=0.002)),
        (0.2, Damage(replaced=0.004, dropped=0.002, inserted=0.002)),
    ],
    ids=["one in a hundred", "one in five hundred", "bytes come and go"],
)
def test_nothing_wrong_comes_through_a_damaged_line(
    hours: float, damage: Damage
) -> None:
    report = run(hours, damage)
    assert report["wrong"] == []
    assert report["wrong_raw_only"] == 0
    assert report["invented"] == []
    assert report["missing"] == []
    assert report["clashes"] == 0
    assert report["share_of_intact"] > 0.7


def test_a_good_line_delays_hardly_anything() -> None:
    """What is said twice are alarms, switches and settings: one frame late."""
    report = run(0.2, Damage())
    assert report["wrong"] == []
    assert report["intact"] == report["sent"]
    assert report["share_of_intact"] > 0.99
    assert report["waited"].keys() <= {0, 1}
    assert set(report["rejected"]) <= {"unconfirmed"}
    assert report["discarded"] == 0


def test_memory_is_flat() -> None:
    """What is kept grows with the packs, not with the hours."""
    damage = Damage(replaced=0.01)
    report = damaged(days=0.2 / 24, packs=2, damage=damage, seed=1)
    assert not any(failures(report))
    assert report["memory_growth"] < 20_000
    assert report["memory_peak"] < report["memory_after_first_hour"] + 200_000


def test_what_was_not_sent_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that believes whatever is plausible fails the same run."""
    monkeypatch.setattr(BmsState, "_believes", lambda *_, **__: True)
    report = damaged(
        days=0.5 / 24, packs=5, damage=Damage(replaced=0.008), seed=2, memory=False
    )
    assert any(failure.startswith("wrong") for failure in failures(report))
    entry = report["wrong_examples"][0]
    key, sent, published = entry["wrong"][0]
    assert isinstance(key, str)
    assert sent != published


def test_bytes_are_damaged_as_often_as_asked() -> None:
    data = bytes(range(256)) * 400
    damager = Damager(Damage(replaced=0.01), Random(1))
    arrived = b"".join(damager(data[at : at + 7]) for at in range(0, len(data), 7))
    assert len(arrived) == len(data)
    changed = sum(a != b for a, b in zip(arrived, data, strict=True))
    assert changed == pytest.approx(len(data) / 100, rel=0.1)
    for damage, less, more in (
        (Damage(dropped=0.02), 0.97, 0.99),
        (Damage(inserted=0.02), 1.01, 1.03),
        (Damage(), 1.0, 1.0),
    ):
        size = len(Damager(damage, Random(2))(data)) / len(data)
        assert less <= size <= more


def test_lively_packs_do_what_real_ones_do() -> None:
    """Without load steps, alarms and restarts a run would prove nothing."""
    seen: dict[str, set[int]] = {}
    pack = LivelyPack(1, seed=1)
    names = ("alarms", "charge_mos", "discharge_mos", "balancer_state", "cell_ovp")
    for now in range(0, 24 * 3600, 10):
        pack.advance(float(now))
        for name in (*names, "current", "soc", "log_count", "full_capacity"):
            seen.setdefault(name, set()).add(pack.number_of(name))
    assert all(len(seen[name]) > 1 for name in names)
    assert max(seen["current"]) > 50_000
    assert min(seen["current"]) < -50_000
    assert max(seen["soc"]) - min(seen["soc"]) > 20
    assert pack.number_of("ticks") < 24 * 36_000
    assert pack.frame(simulator.Block.LIVE) == pack.said[simulator.Block.LIVE]


def test_the_command_prints_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    options = ["damaged", "--days", "0.002", "--packs", "2", "--damage", "0.001"]
    assert main([*options, "--seed", "4", "--json", str(file)]) == 0
    assert "wrong values" in capsys.readouterr().out
    (report,) = json.loads(file.read_text())
    assert report["days"] == 0.002
    assert report["sent"].keys() == {Block.LIVE.label, Block.SETTINGS.label}
    assert report["wrong"] == 0


@pytest.mark.parametrize(
    "options",
    [["--days", "0"], ["--damage", "-1"], ["--drop", "1"], ["--packs", "99"]],
)
def test_the_command_wants_options_that_make_sense(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(options)
    assert "soak" in capsys.readouterr().err
