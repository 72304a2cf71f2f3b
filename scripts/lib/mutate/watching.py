"""Which test runs which lines, and how long it takes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
import hashlib
import json
from pathlib import Path
import sys
from types import CodeType
from typing import Any, Final

_TOOL: Final = 4
"""Of sys.monitoring; coverage.py has 1, a profiler 2, hypothesis 3."""


class Watcher:
    """Notes each line of a folder when it is run for the first time since it was asked."""

    def __init__(self, folder: Path) -> None:
        """Begin to watch."""
        self._folder = str(folder)
        self.lines: set[tuple[str, int]] = set()
        """File and line of what was run."""
        monitoring = sys.monitoring
        monitoring.use_tool_id(_TOOL, "mutate")
        monitoring.register_callback(_TOOL, monitoring.events.LINE, self._line)
        monitoring.set_events(_TOOL, monitoring.events.LINE)

    def _line(self, code: CodeType, line: int) -> Any:
        if code.co_filename.startswith(self._folder):
            self.lines.add((code.co_filename, line))
        return sys.monitoring.DISABLE

    def anew(self) -> set[tuple[str, int]]:
        """Forget what was noted, and return what will be from now on."""
        self.lines = set()
        sys.monitoring.restart_events()
        return self.lines

    def stop(self) -> None:
        """Cost nothing any more."""
        sys.monitoring.set_events(_TOOL, 0)
        sys.monitoring.free_tool_id(_TOOL)


@dataclass(kw_only=True)
class Coverage:
    """What each test has run, and how long it took."""

    digest: str
    seconds: dict[str, float] = field(default_factory=dict)
    tests: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    """By module and line."""
    failed: list[str] = field(default_factory=list)
    """They fail without any mutant, and can prove nothing."""

    @property
    def known(self) -> set[str]:
        """The tests that were run."""
        return {*self.seconds, *self.failed}

    def add(self, test: str, seconds: float, lines: Iterable[tuple[str, int]]) -> None:
        """Take note of a test."""
        self.seconds[test] = seconds
        for module, line in lines:
            self.tests.setdefault(module, {}).setdefault(line, []).append(test)

    def of_lines(self, module: str, lines: Iterable[int]) -> set[str]:
        """Return the tests that run one of these lines."""
        known = self.tests.get(module, {})
        return {test for line in lines for test in known.get(line, ())}

    def of_module(self, module: str) -> set[str]:
        """Return the tests that run anything of a module."""
        return {test for tests in self.tests.get(module, {}).values() for test in tests}

    def save(self, path: Path) -> None:
        """Keep it for the next run."""
        names = list(self.seconds)
        numbers = {name: number for number, name in enumerate(names)}
        lines = {
            module: {
                line: [numbers[one] for one in tests] for line, tests in of.items()
            }
            for module, of in self.tests.items()
        }
        report = {"digest": self.digest, "failed": self.failed, "lines": lines}
        path.write_text(json.dumps(report | {"seconds": self.seconds}))

    @classmethod
    def load(cls, path: Path, digest: str) -> Coverage | None:
        """Return what was kept, if nothing has changed since."""
        if (
            not path.exists()
            or (kept := json.loads(path.read_text()))["digest"] != digest
        ):
            return None
        names = list(kept["seconds"])
        tests = {
            module: {
                int(line): [names[one] for one in of] for line, of in lines.items()
            }
            for module, lines in kept["lines"].items()
        }
        return cls(
            digest=digest, seconds=kept["seconds"], tests=tests, failed=kept["failed"]
        )


def digest_of(folder: Path) -> str:
    """Return what tells whether anything in a folder has changed."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
