"""The command line of scripts/soak."""

import argparse
import asyncio
from collections.abc import Iterator
import json
from pathlib import Path
import sys
import time
from typing import Any

from scripts.lib.simulated_loop import SimulatedLoop

from .buses import PACKS, RIGS


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    options = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Let days pass on buses with faults that come and go by chance, in simulated "
        "time, and hold every value that is published against what the packs said. "
        "Session and protocol are the real ones; line and packs are simulated, in memory.",
        suggest_on_error=True,
    )
    options.add_argument(
        "names",
        nargs="*",
        choices=[[], *RIGS],
        metavar="BUS",
        help=f"{', '.join(RIGS)}; all unless told",
    )
    options.add_argument("--days", type=float, default=30.0, help="of simulated time")
    options.add_argument("--packs", type=int, choices=range(2, 17), metavar="N")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    return options


def soak(
    name: str, *, days: float, seed: int, packs: int | None = None
) -> dict[str, Any]:
    """Let days pass on one bus, and report."""
    began = time.perf_counter(), time.process_time()

    async def run() -> dict[str, Any]:
        rig = RIGS[name](packs=packs or PACKS[name], seed=seed)
        return await rig.run(days)

    with asyncio.Runner(loop_factory=lambda: SimulatedLoop(grace=0.0)) as runner:
        report = runner.run(run())
    seconds = round(time.perf_counter() - began[0], 1)
    cpu = round(time.process_time() - began[1], 1)
    return {"bus": name, "seed": seed, "seconds": seconds, "cpu": cpu} | report


def failures(report: dict[str, Any]) -> Iterator[str]:
    """Yield what must not be."""
    for key in ("wrong", "lost_count"):
        if report[key]:
            yield f"{key} {report[key]}"
    for key in ("invented", "errors", "writes_wrong"):
        if report.get(key):
            yield f"{key}: {report[key][0]}"
    if report["log_storm"]:
        yield f"{report['log_loudest_hour']} lines of log in an hour"
    growth = report["growth"]
    for key in ("tasks", "threads", "files", "timers"):
        if growth.get(key, 0) > 3:
            yield f"{growth[key]} {key} more"
    if growth.get("blocks", 0) > 40_000:
        yield f"{growth['blocks']} objects more"


def table(reports: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the figures that tell most."""
    yield f"{'':30}" + "".join(f"{report['bus']:>14}" for report in reports)
    rows: list[tuple[str, Any]] = [
        ("simulated days", lambda one: one["days"]),
        ("CPU seconds", lambda one: one["cpu"]),
        ("packs", lambda one: one["packs"]),
        ("spells of faults", lambda one: sum(one["faults"].values())),
        ("kinds of faults", lambda one: len(one["faults"])),
        ("blocks published, compared", lambda one: one["compared"]),
        ("wrong values", lambda one: one["wrong"]),
        ("calms; all packs looked for", lambda one: one["calms"]),
        ("packs lost after a calm", lambda one: one["lost_count"]),
        ("packs that are none", lambda one: len(one["invented"])),
        ("line opened anew", lambda one: one["reconnects"]),
        ("exceptions", lambda one: len(one["errors"])),
        ("lines of log, loudest hour", lambda one: one["log_loudest_hour"]),
        ("objects more than on day 3", lambda one: one["growth"].get("blocks")),
        ("tasks more", lambda one: one["growth"].get("tasks")),
        ("threads more", lambda one: one["growth"].get("threads")),
        ("resident kB more", lambda one: one["growth"].get("resident", 0) // 1024),
    ]
    for name, value in rows:
        yield f"{name:30}" + "".join(f"{value(one)!s:>14}" for one in reports)
    for report in reports:
        for failure in failures(report):
            yield f"FAILED: {report['bus']}: {failure}"


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments describe; 1 if anything was wrong."""
    asked = parser()
    options = asked.parse_args(arguments)
    if options.days <= 0:
        asked.error("days are more than 0")
    reports = [
        soak(name, days=options.days, seed=options.seed, packs=options.packs)
        for name in options.names or RIGS
    ]
    if options.json is not None:
        options.json.write_text(json.dumps(reports, indent=2, default=str))
    print("\n".join(table(reports)))
    return int(any(any(failures(report)) for report in reports))


if __name__ == "__main__":
    sys.exit(main())
