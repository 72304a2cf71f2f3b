"""The command line of scripts/soak."""

import argparse
import asyncio
from collections.abc import Iterator
import json
from pathlib import Path
import sys
import time
from typing import Any, Final

from scripts.lib.simulated_loop import SimulatedLoop

from .buses import INTERVAL, PACKS, RIGS, MasterRig
from .damaged import Damage, damaged

_DAMAGED: Final = "damaged"
_GROWTH: Final = {
    "blocks": 60_000,
    "tasks": 0,
    "threads": 0,
    "files": 0,
    "timers": 20,
}
"""More than this of anything is a leak; a pack that is new at an address takes 1500 objects,
and 16 of a bus may have a timer each."""


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
        choices=[[], *RIGS, _DAMAGED],
        metavar="BUS",
        help=f"{', '.join(RIGS)}, all of them unless told; or {_DAMAGED}, a bus that is "
        "listened to around the clock while each byte may be another",
    )
    options.add_argument("--days", type=float, default=30.0, help="of simulated time")
    options.add_argument("--packs", type=int, choices=range(2, 17), metavar="N")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument(
        "--interval",
        type=float,
        default=INTERVAL,
        metavar="SECONDS",
        help=f"from one poll to the next where packs are asked (default: {INTERVAL:g})",
    )
    options.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    for name, default, what in (
        ("damage", 0.01, "replaced by another"),
        ("drop", 0.0, "lost"),
        ("insert", 0.0, "preceded by a random one"),
    ):
        options.add_argument(
            f"--{name}",
            type=float,
            default=default,
            metavar="P",
            help=f"chance of each byte to be {what}, {_DAMAGED} alone (default: {default:g})",
        )
    return options


def soak(
    name: str,
    *,
    days: float,
    seed: int,
    packs: int | None = None,
    interval: float = INTERVAL,
    damage: Damage | None = None,
) -> dict[str, Any]:
    """Let days pass on one bus, and report; `interval` is of the one that is asked."""
    began = time.perf_counter(), time.process_time()

    async def run() -> dict[str, Any]:
        many = packs or PACKS[name]
        if name == MasterRig.name:
            return await MasterRig(packs=many, seed=seed, interval=interval).run(days)
        rig = RIGS[name](packs=many, seed=seed)
        return await rig.run(days)

    if name == _DAMAGED:
        chosen = damage or Damage(replaced=0.01)
        report = damaged(days=days, packs=packs or 5, damage=chosen, seed=seed)
    else:
        with asyncio.Runner(loop_factory=lambda: SimulatedLoop(grace=0.0)) as runner:
            report = runner.run(run())
    seconds = round(time.perf_counter() - began[0], 1)
    cpu = round(time.process_time() - began[1], 1)
    return {"bus": name, "seed": seed, "seconds": seconds, "cpu": cpu} | report


def failures(report: dict[str, Any]) -> Iterator[str]:
    """Yield what must not be."""
    for key in ("wrong", "lost_count", "clashes"):
        if report.get(key):
            yield f"{key} {report[key]}"
    for key in ("invented", "errors", "writes_wrong"):
        if report.get(key):
            yield f"{key}: {report[key][0]}"
    if report.get("log_storm"):
        yield f"{report['log_loudest_hour']} lines of log in an hour"
    growth = report.get("growth", {})
    for key, most in _GROWTH.items():
        if growth.get(key, 0) > most:
            yield f"{growth[key]} {key} more"


def table(reports: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the figures that tell most."""
    yield f"{'':30}" + "".join(f"{report['bus']:>14}" for report in reports)
    rows: list[tuple[str, Any]] = [
        ("simulated days", lambda one: one["days"]),
        ("CPU seconds", lambda one: one["cpu"]),
        ("packs", lambda one: one["packs"]),
        ("spells of faults", lambda one: sum(one.get("faults", {}).values())),
        ("kinds of faults", lambda one: len(one.get("faults", ()))),
        ("blocks published, compared", lambda one: one["compared"]),
        ("wrong values", lambda one: one["wrong"]),
        ("off by what packs differ", lambda one: one.get("close", "")),
        ("calms; all packs looked for", lambda one: one.get("calms")),
        ("packs lost after a calm", lambda one: one["lost_count"]),
        ("packs that are none", lambda one: len(one["invented"])),
        ("line opened anew", lambda one: one.get("reconnects")),
        ("exceptions", lambda one: len(one["errors"])),
        ("lines of log, loudest hour", lambda one: one.get("log_loudest_hour")),
        ("objects more than on day 3", lambda one: one.get("growth", {}).get("blocks")),
        ("tasks more", lambda one: one.get("growth", {}).get("tasks")),
        ("threads more", lambda one: one.get("growth", {}).get("threads")),
        (
            "resident kB more",
            lambda one: one.get("growth", {}).get("resident", 0) // 1024,
        ),
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
    damage = Damage(
        replaced=options.damage, dropped=options.drop, inserted=options.insert
    )
    chances = (damage.replaced, damage.dropped, damage.inserted)
    if min(options.days, options.interval) <= 0:
        asked.error("days and seconds are more than 0")
    if min(chances) < 0 or sum(chances) >= 1:
        asked.error("chances are at least 0 and together below 1")
    reports = [
        soak(
            name,
            days=options.days,
            seed=options.seed,
            packs=options.packs,
            interval=options.interval,
            damage=damage,
        )
        for name in options.names or RIGS
    ]
    if options.json is not None:
        options.json.write_text(json.dumps(reports, indent=2, default=str))
    print("\n".join(table(reports)))
    return int(any(any(failures(report)) for report in reports))


if __name__ == "__main__":
    sys.exit(main())
