"""Runs the tests that may notice a mutant, each mutant in a fork of a pytest that has collected."""

import ast
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum
import gc
import os
from pathlib import Path
import resource
import select
import signal
import sys
import time
from typing import Final

from hypothesis import HealthCheck, Phase, settings
import pytest

from .grafting import (
    Functions,
    compiled,
    execute_again,
    import_anew,
    is_lone_constant,
    writes_otherwise,
)
from .mutants import Mutant
from .nearness import Nearness
from .watching import Coverage, Watcher

TESTS: Final = "tests/protocol"
OPTIONS: Final = (
    *("-q", "--no-header", "--capture=no"),
    *("-p", "no:cacheprovider", "-p", "no:homeassistant", "--noconftest"),
)
"""No test of the protocol needs what is set up for those of Home Assistant."""
_SLOWER: Final = 5.0
"""A test that computes so many times as long as without the mutant does not end."""
_GRACE: Final = 20.0
_WAITING: Final = 10.0
"""It may be this many times longer on a busy machine; without an end it waits for nothing."""
_COLLECTING: Final = 5.0
"""Seconds that a file of tests takes to be collected anew, on a busy machine."""
_COLLECTED: Final = 1.0
"""Seconds of patience that it costs."""
_FAR: Final = 100
"""Imports from a module to tests that do not get there at all."""
_PIECE: Final = 4096
_MEMORY: Final = 4 << 30
"""Bytes; a mutant that gathers without an end gets no more, and fails."""


def unvaried() -> None:
    """Let hypothesis try the same examples each time, and not look for smaller ones."""
    settings.register_profile(
        "mutate",
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=tuple(HealthCheck),
    )
    settings.load_profile("mutate")


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    ENDLESS = "endless"
    """Its tests did not end: noticed too."""
    SURVIVED = "survived"
    UNSEEN = "unseen"
    """No test runs its lines."""
    INVALID = "invalid"
    """It is no program."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of a mutant, and who noticed."""

    mutant: Mutant
    fate: Fate
    killer: str = ""
    left_out: int = 0
    """Tests that might have noticed and were not run, because all take too long."""
    seconds: float = 0.0


class Reports:
    """Remembers which test has failed last."""

    def __init__(self) -> None:
        """Begin without a failure."""
        self.failed = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of a failure."""
        if report.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Take note of a module that cannot even be imported."""
        if report.failed:
            self.failed = report.nodeid


class _Chosen(Reports):
    """Runs only some of the tests of a file."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self._names = frozenset(names)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if item.nodeid in self._names]


@dataclass(kw_only=True)
class _Child:
    mutant: Mutant
    pid: int
    began: float
    deadline: float
    left_out: int
    said: bytes = b""

    def verdict(self, fate: Fate, killer: str = "") -> Verdict:
        return Verdict(
            mutant=self.mutant,
            fate=fate,
            killer=killer,
            left_out=self.left_out,
            seconds=time.monotonic() - self.began,
        )


class _Way(Enum):
    """How a mutant takes the place of what it was, the quickest first."""

    EXECUTED = "executed"
    """A constant is set anew."""
    GRAFTED = "grafted"
    """Functions get other code."""
    IMPORTED = "imported"
    """Everything is imported anew, the tests too."""


def _file_of(test: str) -> str:
    return test.partition("::")[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A module, and the tree whose mutants are tried."""

    name: str
    path: Path
    tree: ast.Module
    others: tuple[str, ...]
    """What the other modules of the package and the tests say."""


class Mutation(Reports):
    """Takes the place of pytest's loop over its tests."""

    def __init__(
        self,
        *,
        folder: Path,
        sources: dict[str, Source],
        mutants: list[Mutant],
        coverage: Callable[[], Coverage | None],
        cache: Path,
        digest: str,
        jobs: int,
        patience: float,
        on_verdict: Callable[[Verdict], None],
    ) -> None:
        """Watch from now on, so that it is known what importing runs."""
        super().__init__()
        self._folder = folder
        self._sources = sources
        self._mutants = mutants
        self._load = coverage
        self._cache, self._digest = cache, digest
        self._jobs, self._patience = jobs, patience
        self._on_verdict = on_verdict
        self._killers: dict[str, Counter[str]] = {}
        self._nearness = Nearness((folder.relative_to(Path.cwd()), Path(TESTS)))
        self._watcher = Watcher(folder)
        self._imported = self._watcher.lines

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try all mutants that were chosen."""
        self._items = {item.nodeid: item for item in session.items}
        self._imported = self._watcher.lines
        self.coverage = self._load() or Coverage(digest=self._digest)
        if self._items.keys() - self.coverage.known:
            pid = os.fork()
            if not pid:
                self._measure()
                os._exit(0)
            os.waitpid(pid, 0)
            coverage = self._load()
            assert coverage is not None, "the tests could not be run once"
            self.coverage = coverage
        self._watcher.stop()
        self._functions = Functions(self._folder)
        gc.collect()
        gc.freeze()
        self._try_all()
        return True

    def _measure(self) -> None:
        """Run every new test once, and keep which lines each has run."""
        coverage = self.coverage
        for name in self._items.keys() - coverage.known:
            item = self._items[name]
            self.failed = ""
            lines = self._watcher.anew()
            began = time.process_time()
            self._run(item)
            seconds = time.process_time() - began
            if self.failed:
                coverage.failed.append(name)
            else:
                coverage.add(name, seconds, lines)
        coverage.save(self._cache)

    def _run(self, item: pytest.Item, following: pytest.Item | None = None) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

    def _try_all(self) -> None:
        waiting = list(reversed(self._mutants))
        running: dict[int, _Child] = {}
        while waiting or running:
            while waiting and len(running) < self._jobs:
                self._start(waiting.pop(), running)
            if running:
                self._wait(running)

    def _start(self, mutant: Mutant, running: dict[int, _Child]) -> None:
        tests, left_out = self._tests(mutant)
        if not tests:
            self._on_verdict(Verdict(mutant=mutant, fate=Fate.UNSEEN))
            return
        expected = sum(self.coverage.seconds[test] for test in tests)
        if self._way(mutant) is _Way.IMPORTED:
            expected += _COLLECTING * len({_file_of(test) for test in tests})
        reading, writing = os.pipe()
        longest = _GRACE + _SLOWER * expected
        pid = os.fork()
        if not pid:
            os.close(reading)
            # What else the machine does is not the mutant's fault: its own time counts.
            resource.setrlimit(resource.RLIMIT_CPU, (int(longest), int(longest) + 60))
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            self._be(mutant, tests, writing)
        os.close(writing)
        now = time.monotonic()
        deadline = now + _WAITING * longest
        running[reading] = _Child(
            mutant=mutant, pid=pid, began=now, deadline=deadline, left_out=left_out
        )

    def _wait(self, running: dict[int, _Child]) -> None:
        """Hear what children say, and end those that do not end."""
        first = min(child.deadline for child in running.values())
        patience = max(0.0, first - time.monotonic())
        for pipe in select.select(list(running), [], [], patience)[0]:
            if piece := os.read(pipe, _PIECE):
                running[pipe].said += piece
                continue
            child = running.pop(pipe)
            os.close(pipe)
            self._ended(child, os.waitpid(child.pid, 0)[1])
        now = time.monotonic()
        for pipe, child in list(running.items()):
            if now >= child.deadline:
                del running[pipe]
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                os.close(pipe)
                self._on_verdict(child.verdict(Fate.ENDLESS))

    def _ended(self, child: _Child, status: int) -> None:
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
            self._on_verdict(child.verdict(Fate.ENDLESS))
            return
        fate, _, killer = child.said.decode().partition(" ")
        if not fate:
            # It took its process along: a stack that overflowed, memory that ran out.
            self._on_verdict(child.verdict(Fate.KILLED, "the process"))
            return
        if killer:
            self._killers.setdefault(child.mutant.module, Counter())[killer] += 1
        self._on_verdict(child.verdict(Fate(fate), killer))

    def _tests(self, mutant: Mutant) -> tuple[list[str], int]:
        """Return the tests to run, the likeliest first, and how many take too long."""
        coverage, path = self.coverage, str(self._sources[mutant.module].path)
        way = self._way(mutant)
        far: dict[str, int] = {}
        if way is not _Way.GRAFTED:
            # Who only looks at what importing has made runs none of its lines.
            far = self._distances(mutant.module)
            names = coverage.of_module(path) | far.keys() or set(coverage.seconds)
        else:
            names = coverage.of_lines(path, mutant.lines)
        known = self._killers.get(mutant.module, Counter())
        seconds = coverage.seconds
        ranked = sorted(names & self._items.keys(), key=seconds.__getitem__)
        # The cases of one test mostly notice the same: one of each goes first.
        cases: Counter[str] = Counter()
        turns = {}
        for name in ranked:
            test = name.partition("[")[0]
            turns[name] = cases[test]
            cases[test] += 1
        ranked.sort(key=lambda name: (-known[name], far.get(name, _FAR), turns[name]))
        chosen: list[str] = []
        collected: set[str] = set()
        total = 0.0
        for name in ranked:
            anew = way is _Way.IMPORTED and _file_of(name) not in collected
            cost = seconds[name] + _COLLECTED * anew
            if total + cost <= self._patience:
                chosen.append(name)
                collected.add(_file_of(name))
                total += cost
        return chosen, len(ranked) - len(chosen)

    def _distances(self, module: str) -> dict[str, int]:
        """Return by how many imports each test gets to a module."""
        far = self._nearness.of(self._sources[module].name)
        tests = {test: far.get(Path(_file_of(test))) for test in self.coverage.seconds}
        return {test: steps for test, steps in tests.items() if steps is not None}

    def _way(self, mutant: Mutant) -> _Way:
        """Return how a mutant takes the place of what it was."""
        source = self._sources[mutant.module]
        path = str(source.path)
        imported = {line for file, line in self._imported if file == path}
        if not mutant.inside:
            lone = is_lone_constant(source.tree, mutant.top, source.others, imported)
            return _Way.EXECUTED if lone else _Way.IMPORTED
        early = not imported.isdisjoint(mutant.lines)
        return _Way.IMPORTED if early else _Way.GRAFTED

    def _be(self, mutant: Mutant, tests: list[str], pipe: int) -> None:
        """Be the process of a mutant, to its end."""
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        fate = Fate.SURVIVED
        self.failed = ""
        try:
            source = self._sources[mutant.module]
            way = self._way(mutant)
            mutant.apply()
            code = compiled(source.tree, source.path)
        except SyntaxError, ValueError:
            fate = Fate.INVALID
        else:
            match way:
                case _Way.EXECUTED:
                    execute_again(source.name, mutant.top, source.path)
                    self._run_all(tests)
                case _Way.GRAFTED if self._functions.graft(code):
                    self._run_all(tests)
                case _:
                    import_anew(source.path, code)
                    if writes_otherwise():
                        self.failed = "scripts/generate --check"
                    else:
                        self._run_anew(tests)
            fate = Fate.KILLED if self.failed else fate
        os.write(pipe, f"{fate} {self.failed}"[:_PIECE].encode())
        os._exit(0)

    def _run_all(self, tests: list[str]) -> None:
        for name, following in zip(tests, [*tests[1:], tests[-1]], strict=True):
            self._run(self._items[name], self._items[following])
            if self.failed:
                break

    def _run_anew(self, tests: list[str]) -> None:
        """Collect and run file by file: the first one hardly ever leaves anything to the others."""
        files: dict[str, list[str]] = {}
        for name in tests:
            files.setdefault(_file_of(name), []).append(name)
        for file, names in files.items():
            chosen = _Chosen(names)
            status = pytest.main([*OPTIONS, "-x", file], plugins=[chosen])
            if chosen.failed or status not in {0, 5}:
                self.failed = chosen.failed or file
                break
        sys.stdout.flush()
