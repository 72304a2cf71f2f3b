"""Feeds one target until its time is over; a process of its own, for libFuzzer ends it."""

import sys

import atheris


def main() -> None:
    """Take the name of a target, then what libFuzzer is told."""
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["custom_components.jkbms"]):
        from .targets import TARGETS  # noqa: PLC0415  # instrumented while it is imported
    atheris.Setup([name, *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
