"""How near a file of tests is to a module: by how many imports it gets there."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path


class Nearness:
    """Who imports whom in some folders of Python files."""

    def __init__(self, folders: Iterable[Path]) -> None:
        """Read all their files; the folders are given from where Python runs."""
        self._importers: defaultdict[str, set[str]] = defaultdict(set)
        for folder in folders:
            for path in folder.rglob("*.py"):
                importer = _name_of(path)
                for imported in _imported(path, importer):
                    self._importers[imported].add(importer)

    def of(self, module: str) -> dict[Path, int]:
        """Return after how many imports each file gets to a module, where it does."""
        steps = {module: 0}
        waiting = [module]
        for name in waiting:
            for importer in self._importers[name] - steps.keys():
                steps[importer] = steps[name] + 1
                waiting.append(importer)
        return {
            Path(*name.split(".")).with_suffix(".py"): n for name, n in steps.items()
        }


def _name_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, importer: str) -> Iterator[str]:
    """Yield what a file imports; of `from a import b`, both a and a.b."""
    package = importer if path.name == "__init__.py" else importer.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(), path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
