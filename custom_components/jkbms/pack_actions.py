"""What can be asked of a pack beside its settings: all that it is set to, and the right time."""

from typing import TYPE_CHECKING

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .protocol.commands import SetClock
from .protocol.datum import Block
from .protocol.fields import BMS_CLOCK
from .protocol.write_job import Outcome, WriteResult
from .write_errors import raise_for_result

if TYPE_CHECKING:
    from .control import Writer
    from .coordinator import BusCoordinator
    from .pack import Pack


def asked_at(bus: BusCoordinator, pack: Pack) -> Writer | None:
    """Return where a pack can be asked now; None where it does not answer."""
    writer = bus.writer(pack)
    return writer if writer is not None and writer.station.available else None


def may_set_clock(bus: BusCoordinator) -> bool:
    """Tell whether the owner allows it: it does no more harm than an everyday setting."""
    return bus.may_write


def ask_anew(bus: BusCoordinator, pack: Pack) -> None:
    """Ask a pack for its settings and its device information now.

    Raises HomeAssistantError where nobody answers, or may be asked.
    """
    writer = asked_at(bus, pack)
    if writer is None or writer.master.yielded:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key=(
                "refresh_unreachable" if writer is None else "refresh_foreign_master"
            ),
            translation_placeholders={"pack": pack.name},
        )
    due, now = writer.station.due, bus.hass.loop.time()
    for block in (Block.SETTINGS, Block.DEVICE):
        due[block] = min(due[block], now)
    writer.session.advance()


async def set_clock(bus: BusCoordinator, pack: Pack) -> None:
    """Set the clock of a pack to the local time and return when it is proven.

    It knows no time zone. Raises ServiceValidationError where it shall not even be
    tried, else HomeAssistantError where it is not proven.
    """
    writer = bus.writer(pack)
    refusal = None
    if not bus.sets(pack):
        refusal = "listening"
    elif not may_set_clock(bus):
        refusal = "writing_not_allowed"
    elif writer is not None and writer.master.yielded:
        refusal = "foreign_master"
    if refusal is not None:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key=refusal,
            translation_placeholders={"pack": pack.name, "setting": BMS_CLOCK.name},
        )
    local = dt_util.now().replace(tzinfo=None)
    result = WriteResult(Outcome.UNREACHABLE)
    if writer is not None:
        command = SetClock(writer.station.address, local, bus.hass.loop.time())
        result = await writer.session.write(command)
    raise_for_result(pack, BMS_CLOCK, f"{local:%Y-%m-%d %H:%M:%S}", result)
