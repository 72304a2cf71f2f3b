"""Hand-made readings of a pack, and who reads it on two clocks."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
import json
from typing import Any, Final
from zoneinfo import ZoneInfo

from custom_components.jkbms.protocol.insight import Insight
from custom_components.jkbms.protocol.wires import Wires

BERLIN: Final = ZoneInfo("Europe/Berlin")
NOON: Final = datetime(2026, 7, 1, 12, tzinfo=BERLIN)
HOUR: Final = 3600.0
CAPACITY: Final = 280.0


def values(**changed: Any) -> dict[str, Any]:
    """Return what a pack of 280 Ah at rest tells, with some of it changed."""
    return {
        "current": 0.0,
        "full_charge_capacity": CAPACITY,
        "capacity_remaining": 140.0,
        "state_of_charge": 50,
        "average_cell_voltage": 3.3,
        "delta_cell_voltage": 0.004,
        "max_cell_voltage": 3.302,
        "max_voltage_cell": 3,
        "balancing": False,
        "cell_ovp": 3.65,
    } | changed


def top(**changed: Any) -> dict[str, Any]:
    """Return what a pack tells that is charged and near full."""
    return values(
        current=50.0,
        state_of_charge=98,
        capacity_remaining=275.0,
        average_cell_voltage=3.46,
        delta_cell_voltage=0.05,
        max_cell_voltage=3.5,
        max_voltage_cell=7,
    ) | dict(changed)


def full(**changed: Any) -> dict[str, Any]:
    """Return what a full pack tells."""
    return top(current=5.0, state_of_charge=100, capacity_remaining=CAPACITY) | dict(
        changed
    )


@dataclass
class Watcher:
    """Whoever reads a pack, on both clocks."""

    insight: Insight = field(default_factory=lambda: Insight(5.0))
    time: float = 1000.0
    now: datetime = NOON
    writes: list[set[str]] = field(default_factory=list)

    def skip(self, seconds: float) -> None:
        """Let time pass, unread."""
        self.time += seconds
        self.now = (self.now.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(
            BERLIN
        )

    def read(self, told: dict[str, Any], seconds: float = 5.0) -> set[str]:
        """Read the pack some seconds later."""
        self.skip(seconds)
        changed = self.insight.read(told, self.time, self.now)
        self.writes.append(changed)
        return changed

    def hold(self, told: dict[str, Any], seconds: float) -> None:
        """Read the same for a while, every 5 seconds."""
        for _ in range(round(seconds / 5)):
            self.read(told)

    def get(self, key: str) -> Any:
        """Return what is shown."""
        return self.insight.values.get(key)

    def detail(self, key: str) -> dict[str, Any]:
        """Return what is said of it."""
        return self.insight.details[key]

    def restart(self) -> None:
        """Forget all but what is stored."""
        stored = json.loads(json.dumps(self.insight.dump()))
        self.insight = Insight(5.0)
        self.insight.load(stored)


def wires_told(*milliohms: float) -> dict[str, Any]:
    """Return what a pack tells of its wires."""
    told = {f"cell_resistance_{n}": one for n, one in enumerate(milliohms, 1)}
    return told | {"cell_presence": (1 << len(milliohms)) - 1}


def charge(watcher: Watcher, *cells: int) -> None:
    """Charge a pack; these cells lead, one after the other, ever higher."""
    watcher.read(values(state_of_charge=80))
    for n, cell in enumerate(cells):
        watcher.read(top(max_voltage_cell=cell, max_cell_voltage=3.5 + n / 100))


def watched(days: int, *, first: int = 0, wires: Wires | None = None) -> Wires:
    """Return what watched wires of which one rises by 1 mΩ in 3 days."""
    wires = wires or Wires()
    for of_day in range(first, first + days):
        today = date(2026, 1, 1) + timedelta(days=of_day)
        for look in range(144):
            noise = look % 5 - 2
            wires.look(
                wires_told(60 + noise, 65 - noise + of_day / 3, 58 + noise), today
            )
    return wires
