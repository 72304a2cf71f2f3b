"""What follows from the table of values: the entities' English texts and their list in docs/."""

from collections.abc import Callable, Iterable, Iterator, Sequence
import json
from pathlib import Path
import sys
from typing import Any, Final

from custom_components.jkbms.bank_descriptions import BANK, BankDescription
from custom_components.jkbms.bus_descriptions import TRAFFIC, TrafficDescription
from custom_components.jkbms.descriptions import (
    ALARM_DATA,
    BINARY_SENSORS,
    BUTTONS,
    CLOCK_DRIFT,
    EVENTS,
    NUMBERS,
    ONLINE,
    SELECTS,
    SENSORS,
    SWITCHES,
    SYNC_CLOCK,
    PackBinarySensorDescription,
    PackButtonDescription,
    PackDescription,
    PackEventDescription,
    PackSensorDescription,
)
from custom_components.jkbms.protocol.alarms import (
    BY_KEY as ALARM_BY_KEY,
    Alarm,
    Severity,
)
from custom_components.jkbms.protocol.codecs import Bit
from custom_components.jkbms.protocol.datum import Datum, Field, Hardware, Role
from custom_components.jkbms.protocol.energy import Followed
from custom_components.jkbms.protocol.fence import CLOCK
from custom_components.jkbms.protocol.fields import FIELDS, TTL
from custom_components.jkbms.protocol.ttl.words import ALARM_KEYS
from custom_components.jkbms.transport.health import Kind

from .option_names import OPTION_NAMES

ROOT: Final = Path(__file__).parents[2]
TEXTS: Final = Path("custom_components/jkbms/translations/en.json")
LIST: Final = Path("docs/entities.md")

PLATFORMS: Final[dict[str, Sequence[PackDescription]]] = {
    "binary_sensor": BINARY_SENSORS,
    "button": BUTTONS,
    "event": EVENTS,
    "number": NUMBERS,
    "select": SELECTS,
    "sensor": SENSORS,
    "switch": SWITCHES,
}
EVENT_ATTRIBUTES: Final = {
    "event_type": {
        "name": "Kind",
        "state": {datum.key: datum.name for datum in ALARM_DATA},
    },
    "severity": {
        "name": "Severity",
        "state": {
            Severity.FAULT: "Fault",
            Severity.PROTECTION: "Protection",
            Severity.WARNING: "Warning",
            Severity.INFO: "Notice",
        },
    },
    "state": {"name": "What", "state": {"started": "Started", "cleared": "Cleared"}},
}
"""The English names of what an event may say."""


# -- texts ----------------------------------------------------------------------------


def entity_texts() -> dict[str, Any]:
    """Return the texts of all entities by platform and translation key."""
    return {
        platform: dict(
            sorted(
                (
                    *((str(d.translation_key), _texts(d)) for d in descriptions),
                    *_traffic_texts(platform),
                    *_bank_texts(platform),
                )
            )
        )
        for platform, descriptions in PLATFORMS.items()
    }


def _traffic_texts(platform: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for description in TRAFFIC.get(platform, ()):
        state = {"state": dict(description.texts)} if description.texts else {}
        yield str(description.translation_key), {"name": description.label} | state


def _bank_texts(platform: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for description in BANK.get(platform, ()):
        state = {"state": dict(description.texts)} if description.texts else {}
        yield str(description.translation_key), {"name": description.label} | state


def _texts(description: PackDescription) -> dict[str, Any]:
    texts: dict[str, Any] = {"name": description.label}
    if description.datum.options:
        texts["state"] = {
            option: OPTION_NAMES[option] for option in description.datum.options
        }
    if isinstance(description, PackEventDescription):
        texts["state_attributes"] = EVENT_ATTRIBUTES
    return texts


def new_texts(current: str) -> str:
    """Return en.json with the entities' texts as they should be, all else kept."""
    texts = json.loads(current) if current else {}
    texts["entity"] = entity_texts()
    return json.dumps(texts, indent=2, ensure_ascii=False) + "\n"


# -- list -----------------------------------------------------------------------------

_HEAD: Final = """\
# Entities

<!-- Written by scripts/generate from the table of values: change that instead. -->

Every pack has the entities below, as far as its hardware and firmware have the values. An entity id is
the name of the pack followed by the key, in every language: `sensor.<pack>_total_voltage`. The keys never change.

- **On**: whether the entity is enabled from the start. *if fitted* needs the hardware to be there: a cell, a probe,
  a heater. Cells and probes that are not there have no entity.
- **Register**: where the BMS keeps the value. An odd number is the low byte of the register before it, the number
  behind a point is a bit. *computed* values follow from others of the same frame, those *over time* from one frame
  after the other, as defined [below](#energy) and in [insight.md](insight.md). What packs tell in the older protocol
  `4E 57` has the same keys wherever it is the same; the few values that only it has say so.
- **Firmware**: only BMS with this software version have the value.
- Current and power are positive while charging.
"""
_WORDS: Final = """
## Words of the app

The names are those of the JK app. What is not plain in them:

| Word | Means |
| --- | --- |
| MOS | The transistors that the pack is charged and discharged through. *Charge MOS* off: it takes no current. |
| UVP, OVP | Under- and over-voltage protection: at this cell voltage discharging, or charging, is switched off. *Recovery*: from here on it is allowed again. |
| OCP, SCP | Over-current and short-circuit protection. *Delay*: how long the current may be too high. *Release time*: how long it stays off. |
| OTP, UTP | Over- and under-temperature protection. |
| RCV, RFV | The voltage that the pack requests for a cell from the inverter: to charge with, and to float at once it is full. |
| Start balance voltage, balance trigger voltage | The balancer works from this cell voltage on, while the cells differ by more than the trigger. |
| Lead resistance | What the BMS measures of the wires to the cells: a loose one stands out. |
| Full charge capacity (learnt) | What the pack really holds, as the BMS has counted it. *Battery capacity* is what it is set to. |
| … as set | What a setting is set to, read from the pack; it is there also where changing it is not allowed. |
"""
_ENERGY: Final = """
## Energy

- `energy_charged`, `energy_discharged`: voltage times current of every frame that counts, added up over the time
  between the frames as if the power went in a straight line from one to the next. Where it goes through zero, the part
  before and the part after are of one direction each. If no frame came for 30 seconds, or for three times the usual
  interval where that is longer, nothing is counted for that time, nor while Home Assistant is off. Both only rise, in
  steps of 10 Wh, and go on after a restart; after a power cut up to 15 minutes may be missing.
- `remaining_energy`: remaining capacity times cells times the nominal voltage of a cell: 3.2 V LFP, 3.7 V Li-ion,
  2.3 V LTO. The chemistry follows from the cell OVP setting (LTO to 3.0 V, LFP 3.3 to 3.85 V, Li-ion from 3.95 V), on
  CAN from the voltage that the pack requests, and only where that leaves a choice from what the BMS says it is.
- `time_to_empty`, `time_to_full`: the remaining, or the missing, capacity at the present current, smoothed over 5
  minutes. Empty is 0 % as the BMS counts it; that charging slows down near full is not foreseen. Unknown at rest, below
  a 500th of the capacity per hour. Shown in minutes, in coarser steps from two hours on.
"""
_ALARMS: Final = """
## Alarms

Each is a binary sensor. On RS485 they are the bits of the alarm word; on CAN there are those that the messages tell
of, some of them on CAN only, and likewise in the older protocol `4E 57`. *Problem* is on while a fault or a protection is active.

- **Severity**: *fault* (something is broken or wired wrongly), *protection* (the BMS has cut the current), *warning* (it
  will), *info* (healthy packs have it too: never a problem). What a pack tells on CAN has a level; at the lowest one what
  only CAN tells is a warning, and *battery over-temperature* is a protection above it.
- Attributes: `severity`, `since` (when it was first seen active, empty while it is not), `count` (how often it has become
  active), both kept over restarts; on CAN `level`; of the temperature sensor fault `missing_sensors`, those that the BMS
  does not find.

"""
_EVENTS: Final = """
## Events

`event.<pack>_alarm_event` (*Alarm*): one of the alarms above, its key being the type of the event, has started or was
cleared. Attributes: `state` (*started*, *cleared*), `severity`, `alarm` (its English name) and what was measured then:
`total_voltage`, `current`, `state_of_charge`, the lowest and the highest cell with their numbers, temperatures. An alarm
that was active before a restart, or before a pack was away, and still is, is no event; one that has started or ended
meanwhile is. What is there when the integration is set up for the first time is none either.
"""
_BLOCKS: Final = """
## Why charging or discharging is off

`charging_block_reason` and `discharging_block_reason` say the first of these that holds while the MOSFET is off (of a
bank on CAN: while it asks for no charge, or no discharge): its switch is off, an alarm that stops this direction, a
release time that still runs, the pre-charge, the state of charge at its end, a remote lock. *Not told*: nothing that
the pack tells explains it. On CAN nobody tells of switches and release times.
"""
_TRAFFIC: Final = """
## The bus, and the traffic of each pack

All of them are diagnostic, but for those that tell of an inverter. Those of a pack belong to its device, the others to the
device of the bus. Counters are counted from the start of the integration and updated once a minute. `health` says in one word
how it stands, with what to do as its text; what there is to mend is in Repairs and in its attribute `troubles`.

Those that tell of an inverter are there where Home Assistant speaks to one ([inverter.md](inverter.md)). Each voltage and current told to it has
the reason of its reduction, and the pack that decides it, as attributes; `inverter_last_heard` has the last messages of the inverter.

"""
_BANK: Final = """
## The bank

A bank is a device of its own; what its values mean is in [bank.md](bank.md).

"""
_OLDER: Final = "`4E 57` only"
"""Where a value is that only the older protocol tells."""
_KINDS: Final = {
    Kind.ASKING: "asking",
    Kind.LISTENING: "listening",
    Kind.CAN: "CAN",
    Kind.BLUETOOTH: "Bluetooth",
}
_TELLING: Final = "CAN, speaking to an inverter"
_BUTTONS: Final = """
## Buttons

They are there where a pack can be asked: on the bus, or on its control line.

- `refresh_settings`: reads the settings and the device information of the pack now, which else is done every minute and
  every hour. What has changed shows as soon as the pack has told it.
- `sync_clock`: sets the clock of the pack to the local time of Home Assistant, as the application does. Unavailable until
  changing settings is allowed. It counts only when the clock, read again, goes on from that time. A clock
  that is right within 3 seconds is left alone.

"""
_SETTINGS: Final = """
## Settings

A setting has a control, which is unavailable until *Allow changing settings* in the options opens its tier, and a
read-only twin with the key `<key>_set` (sensor or binary sensor, diagnostic), which always shows it. Settings without
a control are shown only, or changed by an action.

- **Tier**: how much harm a wrong value can do, and what opens it: *everyday* (both choices do), *protection* (guards the
  cells: *Everyday and protection settings* does), *danger* (can silence or blind the BMS: has no control).
- `switch.<pack>_charging` and `switch.<pack>_discharging` are the entity ids of `charging_switch` and `discharging_switch`.
"""
_HARDWARE: Final = {
    Hardware.CELL: "if fitted",
    Hardware.PROBE: "if fitted",
    Hardware.HEATER: "if fitted",
}


def entity_list(_current: str = "") -> str:
    """Return docs/entities.md."""
    sensors = [d for d in SENSORS if not d.twin]
    states = [d for d in BINARY_SENSORS if not d.twin and d.datum not in ALARM_DATA]
    alarms = [d for d in BINARY_SENSORS if d.datum in ALARM_DATA]
    parts = [
        _HEAD,
        _WORDS,
        "\n## Sensors\n\n",
        _table(
            ("Key", "Name", "Unit", "On", "Kind", "Register", "Firmware"),
            (_sensor_row(d) for d in _once(sensors)),
        ),
        "\n## Binary sensors\n\n",
        _table(
            ("Key", "Name", "On", "Kind", "Register", "Firmware"),
            (_binary_sensor_row(d) for d in _once(states)),
        ),
        _ALARMS,
        _table(("Key", "Name", "Severity", "On", "Register"), map(_alarm_row, alarms)),
        _EVENTS,
        _BLOCKS,
        _ENERGY,
        _TRAFFIC,
        _table(
            ("Key", "Name", "Of", "Unit", "On", "While"),
            (_traffic_row(d) for table in TRAFFIC.values() for d in table),
        ),
        _BANK,
        _table(
            ("Key", "Name", "Kind of entity", "Unit", "On"),
            (_bank_row(p, d) for p, table in BANK.items() for d in table),
        ),
        _BUTTONS,
        _table(
            ("Key", "Name", "On", "Kind", "Register", "Firmware"),
            map(_button_row, BUTTONS),
        ),
        _SETTINGS,
        "\n",
        _table(
            (
                "Key",
                "Name",
                "Control",
                "Unit",
                "Range",
                "Step",
                "Tier",
                "On",
                "Twin on",
                "Register",
                "Firmware",
            ),
            map(_setting_row, _setting_descriptions()),
        ),
    ]
    return "".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _traffic_row(description: TrafficDescription) -> Sequence[str]:
    unit = getattr(description, "native_unit_of_measurement", None)
    return (
        f"`{description.key}`",
        description.label,
        "pack" if description.of_pack else "bus",
        ", ".join(description.texts or ()) or str(unit or ""),
        "yes" if description.entity_registry_enabled_default else "no",
        _TELLING
        if description.of_inverter
        else ", ".join(
            text for kind, text in _KINDS.items() if kind in description.kinds
        ),
    )


def _bank_row(platform: str, description: BankDescription) -> Sequence[str]:
    unit = getattr(description, "native_unit_of_measurement", None)
    return (
        f"`{description.key}`",
        description.label,
        platform.replace("_", " "),
        ", ".join(description.texts or ()) or str(unit or ""),
        "yes" if description.datum.enabled else "no",
    )


def _once[T: PackDescription](descriptions: Iterable[T]) -> Iterator[T]:
    """Yield one of all alike."""
    seen: set[str] = set()
    for description in descriptions:
        if description.datum.template not in seen:
            seen.add(description.datum.template)
            yield description


def _alike(datum: Datum[Any]) -> list[Field[Any]]:
    return [
        f for f in FIELDS if f.template == datum.template and f.index is not None
    ] or [f for f in FIELDS if f is datum]


def _key(datum: Datum[Any]) -> str:
    if datum.index is None:
        return f"`{datum.key}`"
    last = len(_alike(datum))
    return f"`{datum.template}_1` … `_{last}`"


def _name(datum: Datum[Any]) -> str:
    return datum.name.replace("{number}", "*n*")


def _on(datum: Datum[Any], *, enabled: bool) -> str:
    if not enabled:
        return "no"
    return "yes" if datum.hardware is None else _HARDWARE[datum.hardware]


def _kind(datum: Datum[Any]) -> str:
    return "diagnostic" if datum.role is Role.DIAGNOSTIC else ""


def _register(datum: Datum[Any]) -> str:
    if datum in (ONLINE, CLOCK_DRIFT):
        return "Home Assistant"
    if isinstance(datum, Followed):
        return "over time"
    if datum in TTL:
        return _OLDER
    if not isinstance(datum, Field):
        return "computed"
    places = _alike(datum)
    text = f"0x{places[0].address:04X}"
    if isinstance(datum.codec, Bit):
        text += f".{datum.codec.bit}"
    if len(places) > 1:
        text += f" … 0x{places[-1].address:04X}"
    return text


def _firmware(datum: Datum[Any]) -> str:
    parts = []
    if datum.since is not None:
        parts.append(f"from {datum.since}")
    if datum.until is not None:
        parts.append(f"before {datum.until}")
    return ", ".join(parts)


def _unit(description: PackDescription) -> str:
    unit = getattr(description, "native_unit_of_measurement", None)
    shown = getattr(description, "suggested_unit_of_measurement", None)
    return str(unit or "") + (f", shown in {shown}" if shown else "")


def _sensor_row(description: PackSensorDescription) -> Sequence[str]:
    datum = description.datum
    unit = ", ".join(datum.options) if datum.options else _unit(description)
    return (
        _key(datum),
        _name(datum),
        unit,
        _on(datum, enabled=datum.enabled),
        _kind(datum),
        _register(datum),
        _firmware(datum),
    )


def _binary_sensor_row(description: PackBinarySensorDescription) -> Sequence[str]:
    datum = description.datum
    return (
        _key(datum),
        _name(datum),
        _on(datum, enabled=datum.enabled),
        _kind(datum),
        _register(datum),
        _firmware(datum),
    )


def _alarm_row(description: PackBinarySensorDescription) -> Sequence[str]:
    datum = description.datum
    alarm = ALARM_BY_KEY[datum.key]
    return (
        _key(datum),
        _name(datum),
        alarm.severity,
        _on(datum, enabled=datum.enabled),
        _alarm_place(datum, alarm),
    )


def _button_row(description: PackButtonDescription) -> Sequence[str]:
    since = description.since
    return (
        f"`{description.key}`",
        description.label,
        "yes" if description.datum.enabled else "no",
        str(description.entity_category),
        f"0x{CLOCK:04X}" if description is SYNC_CLOCK else "",
        f"from {since}" if since is not None else "",
    )


def _alarm_place(datum: Datum[Any], alarm: Alarm) -> str:
    if alarm.bit is not None:
        return f"0x12A0.{alarm.bit}"
    if datum in TTL:
        return _OLDER
    return "CAN, `4E 57`" if alarm.key in ALARM_KEYS else "CAN only"


def _setting_descriptions() -> list[PackDescription]:
    """Return one twin of each setting, in the order of the registers."""
    twins = [d for d in (*SENSORS, *BINARY_SENSORS) if d.twin]
    order = {datum.key: place for place, datum in enumerate((*FIELDS, *TTL))}
    return sorted(_once(twins), key=lambda d: order[d.datum.key])


_NUMBERS: Final = {d.key for d in NUMBERS}
_SWITCHES: Final = {d.key for d in SWITCHES}
_SELECTS: Final = {d.key for d in SELECTS}
_CONTROLS: Final = _NUMBERS | _SWITCHES | _SELECTS


def _setting_row(twin: PackDescription) -> Sequence[str]:
    field = twin.datum
    if not isinstance(field, Field):
        on = _on(field, enabled=field.enabled)
        unit = _unit(twin)
        return (
            _key(field),
            _name(field),
            "shown only",
            unit,
            *[""] * 4,
            on,
            _register(field),
            "",
        )
    limits = field.limits
    control = "shown only"
    if field.writable and not field.offered:
        control = "by an action"
    if field.key in _NUMBERS:
        control = "number"
    elif field.key in _SWITCHES:
        control = "switch"
    elif field.key in _SELECTS:
        control = "select"
    span = f"{limits.minimum:.10g} to {limits.maximum:.10g}" if limits else ""
    twin_on = field.enabled if field.twin_enabled is None else field.twin_enabled
    return (
        _key(field),
        _name(field),
        control,
        _unit(twin),
        ", ".join(field.options) if control == "select" else span,
        f"{limits.step:.10g}" if limits else "",
        str(field.tier),
        _on(field, enabled=field.enabled) if field.key in _CONTROLS else "",
        _on(field, enabled=twin_on),
        _register(field),
        _firmware(field),
    )


# -- files ----------------------------------------------------------------------------

TARGETS: Final[dict[Path, Callable[[str], str]]] = {TEXTS: new_texts, LIST: entity_list}


def stale(root: Path) -> dict[Path, str]:
    """Return what the files that are not up to date should hold."""
    wanted = {}
    for target, make in TARGETS.items():
        path = root / target
        current = path.read_text(encoding="utf-8") if path.exists() else ""
        if (text := make(current)) != current:
            wanted[target] = text
    return wanted


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Write the files, or with --check name those that are stale."""
    wanted = stale(root)
    if "--check" in arguments:
        for path in wanted:
            print(f"{path} is stale: run scripts/generate", file=sys.stderr)
        return 1 if wanted else 0
    for path, text in wanted.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
        print(f"{path} written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
