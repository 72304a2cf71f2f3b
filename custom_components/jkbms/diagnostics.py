"""What a report about a bus needs, without what tells who its owner is."""

from collections.abc import Mapping
from dataclasses import asdict
import time
from typing import Any, Final

from homeassistant.components.diagnostics import REDACTED, async_redact_data
from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.const import CONF_DEVICE, CONF_HOST
from homeassistant.core import HomeAssistant

from .bank_coordinator import BankConfigEntry, BankCoordinator, is_bank
from .const import CONF_CAN, CONF_CHANNEL, CONF_SERIAL_NUMBER
from .control import ControlCoordinator
from .coordinator import BusCoordinator, JkBmsConfigEntry
from .line_coordinator import Machine
from .mode import Mode, mode_of
from .pack import Pack
from .protocol.approach import Approach
from .protocol.asked_station import AskedStation
from .protocol.bank_state import BANK_DATA
from .protocol.ble.machine import BleMaster
from .protocol.ble.station import BleStation
from .protocol.can.machine import CanListener
from .protocol.datum import Quantity
from .protocol.derived import DERIVED
from .protocol.fields import CAN, FIELDS, TTL
from .protocol.inverter.advice import ADVICE
from .protocol.masking import masked_frame
from .protocol.master import Master
from .protocol.recording import LABEL
from .protocol.station import Station
from .protocol.ttl.machine import TtlMaster
from .protocol.ttl.station import TtlStation
from .soundness import flaw_in
from .transport.tape import ByteTape

_TO_REDACT: Final = {CONF_SERIAL_NUMBER}
_PRIVATE: Final = {datum.key for datum in (*FIELDS, *TTL) if datum.private}
_BY_ID: Final = "/dev/serial/by-id/"


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: JkBmsConfigEntry | BankConfigEntry
) -> dict[str, Any]:
    """Return diagnostics for a bus or a bank, loaded or not."""
    if flaw := flaw_in(entry):
        # What is damaged may be anything, also private.
        return {"entry": {"state": entry.state.value, "flaw": flaw}}
    data: dict[str, Any] = {
        "entry": {
            "data": _masked_data(entry.data),
            "options": dict(entry.options),
            "state": entry.state.value,
        },
        "subentries": [_subentry(s) for s in entry.subentries.values()],
    }
    if entry.state is not ConfigEntryState.LOADED:
        return data
    if is_bank(entry):
        data |= _bank(hass.loop.time(), entry.runtime_data)
    else:
        data |= _bus(hass.loop.time(), entry.runtime_data)
    return data


def _masked_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of an entry or a control line without what is private in it."""
    masked = dict(data)
    if CONF_CAN in data:
        masked[CONF_CAN] = async_redact_data(data[CONF_CAN], {CONF_CHANNEL, CONF_HOST})
        masked[CONF_DEVICE] = REDACTED
    elif CONF_DEVICE in data:
        masked[CONF_DEVICE] = masked_line(data[CONF_DEVICE])
    return masked


def masked_line(url: str) -> str:
    """Return what kind of line it is; host names and serial numbers are private."""
    scheme, separator, _ = url.partition("://")
    if separator:
        return f"{scheme}://{REDACTED}"
    if url.startswith(_BY_ID):
        return f"{_BY_ID}{REDACTED}"
    return url


def _subentry(subentry: ConfigSubentry) -> dict[str, Any]:
    return {
        "type": subentry.subentry_type,
        "data": async_redact_data(_masked_data(subentry.data), _TO_REDACT),
    }


def _bus(now: float, coordinator: BusCoordinator) -> dict[str, Any]:
    return {
        "mode": mode_of(coordinator.config_entry),
        **_line(now, coordinator),
        **_inverter(now, coordinator),
        "packs": [_pack(now, pack) for pack in coordinator.packs.values()],
        "control_lines": {
            line_id: {
                **_line(now, control),
                "stations": [
                    _station(now, station)
                    for station in control.machine.stations.values()
                ],
            }
            for line_id, control in coordinator.controls.items()
        },
    }


def _inverter(now: float, coordinator: BusCoordinator) -> dict[str, Any]:
    """Return how it stands with an inverter that is told of a bank."""
    if coordinator.inverter is None:
        return {}
    status = coordinator.inverter.teller.status
    return {
        "inverter": {
            "phase": status.phase,
            "seconds_in_it": round(now - status.since, 1),
            "trip": status.trip,
            # Names of packs may be private.
            "sent": None if status.sent is None else asdict(status.sent),
            "ramping": status.ramping,
            "battery": status.battery,
            "messages": status.messages,
            "heard": {
                f"{code:03X}": {
                    "seconds_ago": round(now - heard.time, 1),
                    "data": heard.data.hex(),
                }
                for code, heard in status.inverter
            },
        }
    }


def _bank(now: float, coordinator: BankCoordinator) -> dict[str, Any]:
    view = coordinator.data
    return {
        "mode": Mode.BANK,
        "enough": view.enough,
        # Texts name packs, and their names may be private.
        "values": {
            datum.key: view.told[datum.key].value
            for datum in (*BANK_DATA, *ADVICE)
            if datum.quantity is not Quantity.TEXT
        },
        "packs": {
            pack_id: {
                **async_redact_data(asdict(member), {"name"}),
                "heard": (
                    None if member.heard is None else round(now - member.heard, 1)
                ),
            }
            for pack_id, member in coordinator.members.items()
        },
    }


def _line(
    now: float, coordinator: BusCoordinator | ControlCoordinator
) -> dict[str, Any]:
    session = coordinator.session
    return {
        "link": {
            # The words of the operating system may name the host.
            "state": session.status.state,
            "fault": session.status.fault,
            "reconnects": session.reconnects,
        },
        **_machine(now, coordinator.machine),
        **_notifications(coordinator),
        LABEL: coordinator.tape.lines(time.time() - now),
    }


def _notifications(
    coordinator: BusCoordinator | ControlCoordinator,
) -> dict[str, list[int]]:
    """Return how long the notifications of a connection were: its messages do not show it."""
    if not isinstance(coordinator.machine, BleMaster):
        return {}
    assert isinstance(coordinator.tape, ByteTape)
    pieces = coordinator.tape.pieces()
    return {"notifications": [len(p.data) for p in pieces if p.data and not p.sent]}


def _machine(now: float, machine: Machine) -> dict[str, Any]:
    if isinstance(machine, CanListener):
        return {
            "dialect": machine.dialect,
            "clashing": list(machine.clashing),
            "messages": {
                "foreign": machine.foreign,
                "malformed": machine.malformed,
                "of_inverter": machine.of_inverter,
                "implausible": machine.implausible,
            },
        }
    if isinstance(machine, Master):
        return {
            "another_master": machine.yielded,
            "registers_only": machine.registers_only,
            "traffic": dict(machine.line.traffic),
            "plan": asdict(machine.plan),
        }
    if isinstance(machine, TtlMaster):
        return {
            "another_master": machine.yielded,
            "discarded_bytes": machine.framer.discarded,
            "interval": machine.interval,
        }
    if isinstance(machine, BleMaster):
        return {
            "discarded_bytes": machine.framer.discarded,
            "idle_texts": machine.framer.idle,
            "interval": machine.interval,
        }
    heard = machine.master_heard
    inquirer = machine.inquirer
    return {
        "inquiries": None if inquirer is None else asdict(inquirer.counts),
        "discarded_bytes": machine.discarded,
        "unattributed_frames": machine.unattributed,
        "seconds_since_master": None if heard is None else round(now - heard, 1),
    }


def _pacing(station: Station) -> dict[str, Any]:
    if isinstance(station, TtlStation):
        return {
            "timeout": station.patience.timeout,
            "slowest_answer": station.patience.worst,
            "cycle": station.cycle,
            "misses": station.misses,
            "unknown_ids": {f"{n:02X}": count for n, count in station.unknown.items()},
        }
    if isinstance(station, BleStation):
        return {
            "layout_agreed": station.layout,
            "timeout": station.patience.timeout,
            "slowest_answer": station.patience.worst,
            "cycle": station.cycle,
            "misses": station.misses,
        }
    if not isinstance(station, AskedStation):
        return {"cycle": station.cycle}
    return {
        "quiet": station.pace.quiet,
        "settled": station.pace.settled,
        "timeout": station.patience.timeout,
        "slowest_answer": station.patience.worst,
        "cycle": station.cycle,
        "misses": station.misses,
        **_approach(station.approach),
    }


def _approach(approach: Approach) -> dict[str, Any]:
    """Return what is read by registers, and how much of it at once and in all."""
    return {
        "by_registers": sorted(block.label for block in approach.by_registers),
        "registers": {
            block.label: {"at_once": extent.words, "all": extent.end}
            for block, extent in approach.reach.extents.items()
        },
    }


def _pack(now: float, pack: Pack) -> dict[str, Any]:
    control = pack.control
    return {
        "subentry_id": pack.subentry_id,
        "available": pack.available,
        "features": None if pack.features is None else pack.features.dump(),
        "control_address": None if control is None else control.address,
        "remembered": pack.dump(),
        **_station(now, pack.station),
    }


def _station(now: float, station: Station) -> dict[str, Any]:
    state = station.state
    return {
        "address": station.address,
        "answers": station.available,
        "layout": state.layout,
        "firmware": str(state.firmware),
        "values": _values(state.values),
        "rejected": dict(state.rejected),
        "counts": asdict(station.counts),
        "pacing": _pacing(station),
        "seconds_since_read": {
            block.label: round(now - seen, 1) for block, seen in state.seen.items()
        },
        "frames": {
            block.label: masked_frame(data).hex()
            for block, data in state.frames.items()
        },
    }


def _values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values in the order of the datasheet."""
    return async_redact_data(
        {
            datum.key: values[datum.key]
            for datum in (*FIELDS, *DERIVED, *CAN, *TTL)
            if datum.key in values
        },
        _PRIVATE,
    )
