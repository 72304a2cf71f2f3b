"""Feeds one target until its time is over; a process of its own, for libFuzzer ends it."""

import sys
from types import ModuleType

import atheris

from .seeds import ROOT


def main() -> None:
    """Take the name of a target, then what libFuzzer is told."""
    name, *options = sys.argv[1:]
    # The integration's own module imports Home Assistant.
    package = ModuleType("custom_components.jkbms")
    package.__path__ = [str(ROOT / "custom_components" / "jkbms")]
    sys.modules[package.__name__] = package
    with atheris.instrument_imports(include=[package.__name__]):
        from .targets import TARGETS  # noqa: PLC0415  # instrumented while it is imported
    atheris.Setup([name, *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
