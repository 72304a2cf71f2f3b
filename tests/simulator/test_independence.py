"""The simulator is a second opinion: it shares nothing with what it judges."""

import ast
from pathlib import Path
import sys

import pytest

import simulator

FILES = sorted(Path(simulator.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_only_the_standard_library_and_itself_are_imported(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                modules = [name.name for name in names]
            case ast.ImportFrom(level=0, module=str(module)):
                modules = [module]
            case _:
                continue
        assert {module.split(".")[0] for module in modules} <= sys.stdlib_module_names


def test_what_has_to_run_in_simulated_time_knows_no_event_loop() -> None:
    for name in (
        "line",
        "wire",
        "faults",
        "pack",
        "physics",
        "modbus",
        "replay",
        "master",
    ):
        text = next(file for file in FILES if file.stem == name).read_text(
            encoding="utf-8"
        )
        assert "asyncio" not in text
        assert "import time" not in text
