"""What reads bytes from outside is fed with what real devices sent, and what grows from it."""

from importlib.util import find_spec
from itertools import islice
from pathlib import Path
import subprocess

import pytest

from scripts.lib.fuzz import __main__ as command
from scripts.lib.fuzz.seeds import ROOT, seeds_of
from scripts.lib.fuzz.targets import TARGETS, Violation

_SOME = 12
needs_atheris = pytest.mark.skipif(
    find_spec("atheris") is None, reason="atheris is not on every machine"
)


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_fed_first_does_no_harm(name: str) -> None:
    seeds = list(islice(seeds_of(name), _SOME))
    assert seeds
    for data in (*seeds, b"", b"\xff", seeds[0][:-1], seeds[0][::-1]):
        TARGETS[name](data)


def test_bytes_that_are_lost_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    target = TARGETS["rs485"]
    monkeypatch.setattr("scripts.lib.fuzz.targets.Framer.flush", lambda _: [])
    with pytest.raises(Violation, match="lost or invented"):
        target(b"\x00" + bytes.fromhex("55AAEB90"))


@needs_atheris
def test_the_command_tells_what_was_reached() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "fuzz", "records", "--seconds", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    name, inputs, places = done.stdout.splitlines()[1].split()
    assert name == "records"
    assert int(inputs) > 10
    assert int(places) > 10


_FAULTY = """
import sys, atheris

def faulty(data):
    if data[:1] == b"\\x08":
        raise KeyError("state_of_charge")

atheris.Setup(sys.argv[2:], faulty)
atheris.Fuzz()
"""


@needs_atheris
def test_what_did_harm_is_named_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child.py"
    child.write_text(_FAULTY)
    monkeypatch.setattr(command, "_CHILD", child)
    # Before the options stand the module and the target that a real child is told.
    found = command.fuzz("records", 20, 1, tmp_path)
    assert found.found is not None
    assert found.found.read_bytes().startswith(b"\x08")
    assert "state_of_charge" in found.raised
    assert "FAILED" in "\n".join(command.table([found]))
