"""What can be asked of a pack beside its settings: all that it is set to, and the right time."""

from typing import TYPE_CHECKING, Final

from homeassistant.core import Context
from homeassistant.util import dt as dt_util

from .errors import failure, refusal
from .protocol.asked_station import AskedStation
from .protocol.ble.machine import BleMaster
from .protocol.commands import SetClock, StartEmergency
from .protocol.datum import Block
from .protocol.fields import BMS_CLOCK, EMERGENCY_TIME_LEFT
from .protocol.ttl.station import TtlStation
from .protocol.write_job import Outcome, WriteResult
from .tiers import WriteTier, allowed_by
from .wording import action_name, name_of
from .write_errors import not_changed

if TYPE_CHECKING:
    from .control import Writer
    from .coordinator import BusCoordinator
    from .pack import Pack

EMERGENCY_START: Final = "emergency_start"
"""The action that does it."""


def asked_at(bus: BusCoordinator, pack: Pack) -> Writer | None:
    """Return where a pack can be asked now; None where it does not answer."""
    writer = bus.writer(pack)
    return writer if writer is not None and writer.station.available else None


def may_set_clock(bus: BusCoordinator) -> bool:
    """Tell whether the owner allows it: it does no more harm than an everyday setting."""
    return allowed_by(bus.config_entry.options) is not WriteTier.OFF


def ask_anew(bus: BusCoordinator, pack: Pack) -> None:
    """Ask a pack for its settings and its device information now.

    Raises HomeAssistantError where nobody answers, or may be asked.
    """
    writer = asked_at(bus, pack)
    if writer is None or writer.master.yielded:
        key = "refresh_unreachable" if writer is None else "refresh_foreign_master"
        raise failure(key, pack=pack.name)
    station, now = writer.station, bus.hass.loop.time()
    if isinstance(writer.master, BleMaster):
        writer.master.ask_for((Block.SETTINGS, Block.DEVICE), now)
    elif isinstance(station, AskedStation):
        for block in (Block.SETTINGS, Block.DEVICE):
            station.due[block] = min(station.due[block], now)
    elif isinstance(station, TtlStation):
        # The older protocol tells everything at once.
        station.due = min(station.due, now)
    writer.session.advance()


async def set_clock(
    bus: BusCoordinator, pack: Pack, context: Context | None = None
) -> None:
    """Set the clock of a pack to the local time and return when it is proven.

    It knows no time zone. Raises ServiceValidationError where it shall not even be
    tried, else HomeAssistantError where it is not proven.
    """
    not_allowed = None if may_set_clock(bus) else "writing_not_allowed"
    writer = _writer(bus, pack, name_of(bus.hass, BMS_CLOCK), not_allowed)
    local = dt_util.now().replace(tzinfo=None)
    result = WriteResult(Outcome.UNREACHABLE)
    if writer is not None:
        command = SetClock(writer.station.address, local, bus.hass.loop.time())
        result = await writer.session.write(command)
    wanted = f"{local:%Y-%m-%d %H:%M:%S}"
    bus.changes.commanded(pack, BMS_CLOCK, wanted, result, context)
    error = not_changed(bus.hass, pack, BMS_CLOCK, wanted, result)
    if error is not None:
        raise error


async def start_emergency(
    bus: BusCoordinator, pack: Pack, context: Context | None, *, confirmed: bool
) -> None:
    """Let a pack discharge for a while although a cell is too low.

    Raises like `set_clock`; without the owner's confirmation nothing is sent.
    """
    allowed = confirmed and allowed_by(bus.config_entry.options) is WriteTier.PROTECTION
    name = action_name(bus.hass, EMERGENCY_START)
    writer = _writer(bus, pack, name, None if allowed else "danger_not_confirmed")
    result = WriteResult(Outcome.UNREACHABLE)
    if writer is not None:
        result = await writer.session.write(StartEmergency(writer.station.address))
    bus.changes.commanded(pack, EMERGENCY_TIME_LEFT, "on", result, context)
    error = not_changed(bus.hass, pack, EMERGENCY_TIME_LEFT, "on", result, name=name)
    if error is not None:
        raise error


def _writer(
    bus: BusCoordinator, pack: Pack, name: str, not_allowed: str | None
) -> Writer | None:
    """Return where an action can be started, None where the pack is not reached.

    Raises ServiceValidationError where it shall not even be tried.
    """
    writer = bus.writer(pack)
    key = not_allowed
    if not bus.sets(pack):
        key = "listening"
    elif key is None and writer is not None and writer.master.yielded:
        key = "foreign_master"
    if key is not None:
        raise refusal(key, pack=pack.name, setting=name)
    return writer
