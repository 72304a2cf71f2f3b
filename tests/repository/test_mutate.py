"""Which tests are tried first on a changed module."""

from pathlib import Path

import pytest

from scripts.lib.mutate.nearness import Nearness


def test_the_tests_that_get_to_a_module_by_the_fewest_imports_are_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "app/__init__.py": "",
        "app/rows.py": "",
        "app/deep/__init__.py": "from .table import TABLE\n",
        "app/deep/table.py": "from ..rows import row\n",
        "checks/__init__.py": "",
        "checks/helpers.py": "import app.deep\n",
        "checks/test_helped.py": "from . import helpers\n",
        "checks/test_rows.py": "from app import rows\n",
        "checks/test_else.py": "from app.other import rows\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    far = Nearness((Path("app"), Path("checks"))).of("app.rows")
    tests = {path.name: n for path, n in far.items() if path.match("checks/test_*.py")}
    assert tests == {"test_rows.py": 1, "test_helped.py": 4}
