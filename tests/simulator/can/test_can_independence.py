"""The CAN side shares nothing with what it judges, and its core knows no event loop."""

import ast
from pathlib import Path
import sys

import pytest

from simulator import can

FILES = sorted(Path(can.__file__).parent.glob("*.py"))
WITH_A_LOOP = {"server"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_only_the_standard_library_and_the_simulator_are_imported(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                modules = [name.name for name in names]
            case ast.ImportFrom(level=0, module=str(module)):
                modules = [module]
            case ast.ImportFrom(level=level):
                assert level <= 2
                continue
            case _:
                continue
        assert {module.split(".")[0] for module in modules} <= sys.stdlib_module_names


def test_what_has_to_run_in_simulated_time_knows_no_event_loop() -> None:
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        if file.stem not in WITH_A_LOOP:
            assert "import asyncio" not in text
            assert "import time" not in text
