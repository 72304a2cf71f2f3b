"""The benchmarks run and tell what they should; how fast anything is, no test asks."""

import json
import math
from pathlib import Path
import subprocess
import sys

import pyperf
import pytest

from custom_components.jkbms.protocol.datum import Block
from custom_components.jkbms.protocol.frames import Frame
from custom_components.jkbms.protocol.state import BmsState, Update
from scripts.lib.bench import stream, ttl
from scripts.lib.bench.__main__ import main
from scripts.lib.bench.keeping import keep
from scripts.lib.bench.measure import QUICK, Case, Samples, race
from scripts.lib.bench.report import Figure, Goal, table, timed

ROOT = Path(__file__).parents[2]


def quick(*arguments: str) -> str:
    """Return what the command prints; it must have nothing to complain of."""
    done = subprocess.run(
        [ROOT / "scripts" / "bench", "--quick", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_cheap_benchmarks_print_their_tables() -> None:
    lines = quick("decode", "cycle").splitlines()
    assert lines[0].startswith("decode: ")
    assert any(line.startswith("cycle: ") for line in lines)
    for start in (
        "live floor: ",
        "settings: recognised",
        "live, into the state: a fifth",
        "noisy stream: ",
        "16 packs: live",
    ):
        assert any(line.startswith(start) for line in lines), start
    assert not any("damaged" in line and "MISSED" in line for line in lines)
    assert not any("intact" in line and "MISSED" in line for line in lines)


def test_programs_get_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--json", "decode"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["quick"] is True
    figures = {figure["name"]: figure for figure in said["benchmarks"]["decode"]}
    decoded = figures["live: recognised and decoded, nothing else"]
    assert decoded["unit"] == "µs"
    assert decoded["value"] > 0
    assert decoded["floor"] in figures
    assert decoded["ratio"] > 0


def test_samples_are_kept_for_the_commands_of_pyperf(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.json"
    assert main(["--quick", "--json", "--keep", str(kept), "ttl"]) == 0
    told = {
        f"ttl: {figure['name']}": figure
        for figure in json.loads(capsys.readouterr().out)["benchmarks"]["ttl"]
        if figure["spread"] is not None
    }
    suite = pyperf.BenchmarkSuite.load(str(kept))
    assert set(suite.get_benchmark_names()) == told.keys()
    for name, figure in told.items():
        benchmark = suite.get_benchmark(name)
        assert benchmark.get_nrun() == QUICK.rounds
        factor = {"µs": 1e6, "ms": 1e3}[figure["unit"]]
        assert benchmark.median() * factor == pytest.approx(figure["value"])
    compared = subprocess.run(
        [sys.executable, "-m", "pyperf", "compare_to", kept, kept, "--table"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert compared.returncode == 0, compared.stderr


def test_what_has_no_samples_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nothing was timed"):
        keep(tmp_path / "kept.json", {"cycle": [Figure(name="16 packs", value=1.0)]})


def test_answers_of_the_older_protocol_are_measured_shape_by_shape(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--quick", "--json", "ttl"]) == 0
    figures = json.loads(capsys.readouterr().out)["benchmarks"]["ttl"]
    decoded = [figure for figure in figures if figure["name"].endswith("decoded")]
    assert len(decoded) == 2
    assert all(figure["floor"] and figure["goals"] for figure in decoded)
    monkeypatch.setattr(ttl, "decode", lambda _: None)
    with pytest.raises(ValueError, match="not decoded"):
        main(["--quick", "ttl"])


def test_an_inverter_is_told_while_everything_changes() -> None:
    figures = json.loads(quick("--json", "send"))["benchmarks"]["send"]
    changed, *pauses = (figure["value"] for figure in figures)
    assert changed > 960
    assert len(pauses) == 9
    assert all(0 < pause < math.inf for pause in pauses)


def test_a_benchmark_that_is_none_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["speed"])
    assert "speed" in capsys.readouterr().err


def test_a_decoder_that_believes_nothing_is_not_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BmsState, "take_frame", lambda *_, **__: None)
    with pytest.raises(ValueError, match="not believed"):
        main(["--quick", "decode"])


def test_one_that_believes_everything_is(monkeypatch: pytest.MonkeyPatch) -> None:
    update = Update(Block.LIVE, frozenset())
    monkeypatch.setattr(BmsState, "take_frame", lambda *_, **__: update)
    assert main(["--quick", "--json", "decode"]) == 0


def test_frames_that_are_lost_or_invented_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def one_wrong(pieces: tuple[bytes, ...]) -> list[Frame]:
        return [Frame(data) for data in (*stream.bare(pieces)[:-1], bytes(300))]

    monkeypatch.setattr(stream, "cut", one_wrong)
    missed = [
        figure.name
        for figure in stream.framing(QUICK)
        for goal in figure.goals
        if goal.of == "value" and not goal.met(figure)
    ]
    assert len(missed) == 4


@pytest.mark.parametrize("noisy", [False, True])
def test_what_it_takes_at_least_tells_the_same_frames(noisy: bool) -> None:
    heard = stream.sample(noisy=noisy)
    told = [item.data for item in stream.least(heard.pieces) if isinstance(item, Frame)]
    assert told == list(heard.intact)


def test_cases_are_compared_round_by_round() -> None:
    calls = {"one": 0, "two": 0}

    def run(name: str) -> None:
        calls[name] += 1

    samples = race(
        [Case("one", lambda: run("one")), Case("two", lambda: run("two"), 2)], QUICK
    )
    assert all(calls.values())
    assert {len(each.seconds) for each in samples.values()} == {QUICK.rounds}
    assert Samples((2.0, 9.0, 6.0)).over(Samples((1.0, 3.0, 3.0))) == 2.0


def test_a_goal_is_met_or_missed_by_a_value_or_by_a_ratio() -> None:
    samples = {"own": Samples((2e-6,) * 3), "floor": Samples((1e-6,) * 3)}
    figure = timed("own", samples, "µs", Goal(1.5), Goal(3.0, "value"), floor="floor")
    assert figure.value == pytest.approx(2.0)
    assert [goal.met(figure) for goal in figure.goals] == [False, True]
    most = Figure(
        name="share", value=50, unit="%", goals=(Goal(37, "value", least=True),)
    )
    lines = table("title", [figure, most]).splitlines()
    assert lines[0] == "title"
    assert lines[3].endswith("≤ 1.5 × MISSED, ≤ 3 µs met")
    assert lines[4].endswith("≥ 37 % met")
