"""What starting costs: importing the protocol and the transports, in fresh processes."""

from collections.abc import Iterator
import json
import os
from pathlib import Path
from statistics import median
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from .measure import FULL, Effort, Samples
from .report import Figure, Goal, timed

_ROOT: Final = Path(__file__).parents[3]
_PROTOCOL: Final = "custom_components.jkbms.protocol"
_TRANSPORT: Final = "custom_components.jkbms.transport"
_MACHINES: Final = tuple(
    f"{_PROTOCOL}.{name}"
    for name in ("master", "listener", "scan", "can.machine", "ttl.machine")
)
"""With these everything of the protocol is there that speaks or hears."""
_STDLIB: Final = (
    "collections.abc",
    "contextlib",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "itertools",
    "math",
    "operator",
    "random",
    "re",
    "statistics",
    "struct",
    "typing",
    "zlib",
)
_LIBRARIES: Final = ("serialx", "can", "pymodbus")
LEFT_OUT: Final = (
    ("protocol", _MACHINES, _LIBRARIES),
    # Home Assistant's own `usb`, on which the integration depends, imports serialx.
    ("lines over RS485", (f"{_TRANSPORT}.link",), ("can", "pymodbus")),
    ("lines on CAN", (f"{_TRANSPORT}.can_link",), ("can", "pymodbus")),
)
"""What is imported before a line is opened, and what must not come with it."""
_CHILD: Final = """
import json, resource, sys, time, types
for name in ("custom_components", "custom_components.jkbms"):
    # Without the integration around it, which imports Home Assistant.
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = [name.replace(".", "/")]
def kilobytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1024
before, wanted, libraries, copies = json.loads(sys.argv[1])
for name in before:
    __import__(name)
if copies:
    import dataclasses
held, begin = kilobytes(), time.thread_time()
for name in wanted:
    __import__(name)
for number in range(copies):
    @dataclasses.dataclass(frozen=True, slots=True)
    class Copy:
        one: int
        two: str
        three: float | None = None
        four: tuple[int, ...] = ()
seconds = time.thread_time() - begin
print(json.dumps({
    "seconds": seconds,
    "kilobytes": kilobytes() - held,
    "libraries": [name for name in libraries if name in sys.modules],
    "modules": sum(name.startswith("custom_components.jkbms.") for name in sys.modules),
    "dataclasses": len({
        thing
        for name, module in sys.modules.items() if name.startswith("custom_components.")
        for thing in vars(module).values()
        if isinstance(thing, type) and "__dataclass_fields__" in vars(thing)
    }),
}))
"""


class _Case(NamedTuple):
    name: str
    before: tuple[str, ...]
    wanted: tuple[str, ...]
    copies: int = 0
    """How many dataclasses are made, of four values each."""


def run(effort: Effort) -> Iterator[Figure]:
    """Measure the protocol on top of nothing, and of what it needs of Python's own."""
    with TemporaryDirectory() as folder:
        work = Path(folder)
        # What runs first compiles what it imports, and does not count.
        first = _child((), _MACHINES, work=work)
        names = _empty_modules(work, first["modules"])
        _child((), names, work=work)
        count = first["dataclasses"]
        standard = _Case("floor: what it needs of the standard library", (), _STDLIB)
        empty = _Case(
            f"floor: {len(names)} modules with nothing in them", _STDLIB, names
        )
        copies = _Case(
            f"floor: {count} dataclasses of four values, nothing else",
            _STDLIB,
            (),
            count,
        )
        alone = _Case("protocol, standard library included", (), _MACHINES)
        ours = _Case("protocol, on top of the standard library", _STDLIB, _MACHINES)
        cases = (standard, empty, copies, alone, ours)
        told: dict[str, list[Any]] = {case.name: [] for case in cases}
        for _ in range(15 if effort is FULL else 3):
            for name, before, wanted, number in cases:
                told[name].append(_child(before, wanted, number, work=work))
    results = {
        name: Samples(tuple(answer["seconds"] for answer in answers))
        for name, answers in told.items()
    }
    yield timed(standard.name, results, "ms")
    yield timed(alone.name, results, "ms", floor=standard.name)
    yield timed(empty.name, results, "ms")
    yield timed(copies.name, results, "ms")
    yield timed(ours.name, results, "ms", Goal(10.0, "value"), floor=copies.name)
    for case in (standard, alone, ours):
        memory = median(answer["kilobytes"] for answer in told[case.name])
        yield Figure(name=f"{case.name}: memory", value=memory, unit="kB")
    for name, modules, unused in LEFT_OUT:
        yield Figure(
            name=f"{name}: {', '.join(unused)} imported",
            value=len(libraries_of(modules).intersection(unused)),
            goals=(Goal(0.0, "value"),),
        )


def libraries_of(modules: tuple[str, ...]) -> frozenset[str]:
    """Return which of the libraries for lines are imported with these modules."""
    with TemporaryDirectory() as folder:
        return frozenset(_child((), modules, work=Path(folder))["libraries"])


def _empty_modules(work: Path, count: int) -> tuple[str, ...]:
    """Write modules of a docstring each, and return their names."""
    package = work / "nothing"
    package.mkdir()
    for number in range(count):
        (package / f"module_{number}.py").write_text('"""Nothing."""\n')
    return tuple(f"{package.name}.module_{number}" for number in range(count))


def _child(
    before: tuple[str, ...], wanted: tuple[str, ...], copies: int = 0, *, work: Path
) -> dict[str, Any]:
    asked = json.dumps([before, wanted, _LIBRARIES, copies])
    caches = {"PYTHONPATH": str(work), "PYTHONPYCACHEPREFIX": str(work / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, asked],
        cwd=_ROOT,
        # Empty is unset: what is compiled once has to be kept.
        env={**os.environ, **caches, "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
