"""Tells an inverter of a bank: hands the packs over each second, and shows how it stands."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
import logging
from typing import TYPE_CHECKING, Any, Final

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util import dt as dt_util

from .const import (
    CONF_BANK,
    CONF_CHARGE_CURRENT,
    CONF_CHARGE_VOLTAGE,
    CONF_DISCHARGE_CURRENT,
    CONF_INVERTER,
    CONF_LANGUAGE,
    CONF_MIN_PACKS,
)
from .issues import clear_inverter_silent, raise_inverter_silent
from .protocol.can.signals import at_most
from .protocol.inverter.languages import Language
from .protocol.inverter.limits import Reason, Rules
from .protocol.inverter.sight import ALARM_OF, PackSight
from .protocol.inverter.teller import Phase, Status, Teller
from .protocol.inverter.telling import Limits
from .protocol.inverter.words import said
from .transport.session import LinkState
from .wording import name_of, state_name

if TYPE_CHECKING:
    from .bank_coordinator import BankCoordinator
    from .coordinator import BusCoordinator

_LOGGER = logging.getLogger(__name__)
_EVERY: Final = timedelta(seconds=1)
_SEEN_EVERY: Final = 60.0
"""Seconds; nobody wants each word of an inverter in the database."""
_PATIENCE: Final = 60.0
"""Seconds that a bank may take until it tells enough, after a start."""
_END_WITHIN: Final = 2.0
_LOOK: Final = 0.02
_VOLTAGE: Final = "inverter_charge_voltage"
_CHARGE: Final = "inverter_charge_current"
_DISCHARGE: Final = "inverter_discharge_current"
NO_LINE: Final = "no_line"
"""The state while the adapter cannot be reached."""
RISING: Final = "rising"
OTHER_BATTERY: Final = "other_battery"


def rules_of(options: Mapping[str, Any]) -> Rules:
    """Return what the owner has decided, of the options of the telling."""
    return Rules(
        min_packs=options.get(CONF_MIN_PACKS),
        charge_voltage=options.get(CONF_CHARGE_VOLTAGE),
        charge_current=options.get(CONF_CHARGE_CURRENT),
        discharge_current=options.get(CONF_DISCHARGE_CURRENT),
    )


@callback
def bank_of(hass: HomeAssistant, entry_id: str) -> BankCoordinator | None:
    """Return a bank by its entry, None while it is not set up."""
    entry = hass.config_entries.async_get_entry(entry_id)
    if entry is None or entry.state is not ConfigEntryState.LOADED:
        return None
    bank: BankCoordinator = entry.runtime_data
    return bank


class InverterTelling:
    """What one bus tells its inverter; what decides and sends is its teller, in a thread."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
        """Prepare; `start` begins."""
        options = entry.options[CONF_INVERTER]
        self._hass = hass
        self._entry = entry
        self._bank_id: str = options[CONF_BANK]
        self.teller = Teller(Language(options[CONF_LANGUAGE]), rules_of(options))
        self.readings: Mapping[str, Any] = {}
        """What is shown, by key."""
        self.details: Mapping[str, Mapping[str, Any]] = {}
        """What belongs to it."""
        self._bus: BusCoordinator | None = None
        self._listening: list[CALLBACK_TYPE] = []
        self._complained: str | None = None
        self._seen: dict[str, Any] = {}
        self._seen_at = float("-inf")

    @callback
    def start(self, bus: BusCoordinator) -> None:
        """Hand the packs over until the entry is unloaded."""
        self._bus = bus
        entry = self._entry
        entry.async_on_unload(
            async_track_time_interval(
                self._hass, self._tick, _EVERY, cancel_on_shutdown=True
            )
        )
        entry.async_on_unload(
            self._hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, self._on_stop)
        )
        self._tick()

    @callback
    def async_listen(self, call: CALLBACK_TYPE) -> Callable[[], None]:
        """Call whenever what is shown may have changed."""
        self._listening.append(call)
        return lambda: self._listening.remove(call)

    @property
    def packs(self) -> tuple[PackSight, ...]:
        """What the packs of the bank tell now."""
        bank = bank_of(self._hass, self._bank_id)
        return () if bank is None else bank.sights()

    async def _on_stop(self, _: Event) -> None:
        """Have it told that nothing is allowed, while the line is still open."""
        if self._is_down:
            return
        self.teller.end()
        deadline = self._hass.loop.time() + _END_WITHIN
        while (
            self.teller.status.phase is not Phase.ENDED
            and self._hass.loop.time() < deadline
        ):
            await asyncio.sleep(_LOOK)

    @property
    def _is_down(self) -> bool:
        assert self._bus is not None
        return self._bus.session.status.state is not LinkState.CONNECTED

    @callback
    def _tick(self, _: datetime | None = None) -> None:
        """Hand over, show, and say what its owner has to mend."""
        self.teller.give(self.packs)
        status = self.teller.status
        now = self._hass.loop.time()
        self._show(status, now)
        self._complain(status, now)
        for call in tuple(self._listening):
            call()

    def _show(self, status: Status, now: float) -> None:
        sent = None if self._is_down else status.sent
        self.readings = {
            "inverter_state": NO_LINE if self._is_down else status.phase,
            "inverter_reason": self._reason(status),
            _VOLTAGE: None if sent is None else _as_told(sent.voltage),
            _CHARGE: None if sent is None else _as_told(sent.charge),
            _DISCHARGE: None if sent is None else _as_told(sent.discharge),
            "inverter_link": status.link(now),
            "inverter_last_heard": self._last_heard(status, now),
        }
        self.details = {
            "inverter_reason": {"detail": status.detail},
            "inverter_last_heard": self._seen,
            **_reasons(status, sent),
        }

    def _reason(self, status: Status) -> str:
        if self._is_down:
            return NO_LINE
        if status.battery is not None:
            return OTHER_BATTERY
        if status.trip is not None:
            return status.trip
        return RISING if status.ramping else Reason.NONE

    def _last_heard(self, status: Status, now: float) -> datetime | None:
        """Return when the inverter spoke last, a minute old at most; its words beside it."""
        if not status.inverter:
            self._seen, self._seen_at = {}, float("-inf")
            return None
        if now - self._seen_at < _SEEN_EVERY:
            told: datetime = self.readings["inverter_last_heard"]
            return told
        self._seen_at = now
        self._seen = {
            f"0x{code:03X}": heard.data.hex(" ") for code, heard in status.inverter
        }
        for code, heard in status.inverter:
            self._seen |= said(self.teller.language, code, heard.data)
        latest = max(heard.time for _, heard in status.inverter)
        return (dt_util.utcnow() - timedelta(seconds=now - latest)).replace(
            microsecond=0
        )

    def _complain(self, status: Status, now: float) -> None:
        """Say once that the inverter is told nothing, and take it back."""
        if self._is_down:
            return
        kind = None
        match status.phase:
            case Phase.STOPPED:
                kind = OTHER_BATTERY
            case Phase.SILENT:
                kind = str(status.trip)
            case Phase.WAITING if now - status.since > _PATIENCE:
                kind = str(status.trip)
            case _:
                pass
        if kind == self._complained:
            return
        self._complained = kind
        if kind is None:
            _LOGGER.info(
                "%s: the inverter is told of the bank again", self._entry.title
            )
            clear_inverter_silent(self._hass, self._entry)
            return
        _LOGGER.warning(
            "%s: the inverter is told nothing any more (%s %s)",
            self._entry.title,
            kind,
            status.detail,
        )
        raise_inverter_silent(
            self._hass,
            self._entry,
            self._about(status),
            other_battery=kind == OTHER_BATTERY,
        )

    def _about(self, status: Status) -> str:
        """Return what has to be mended, in the language of Home Assistant."""
        reason = state_name(self._hass, "inverter_reason", self._reason(status))
        detail = status.detail
        if status.trip is Reason.PROTECTION and status.verdict is not None:
            detail = "; ".join(
                f"{pack.name}: {', '.join(self._named(pack.protections))}"
                for pack in status.verdict.packs
                if pack.protections
            )
        return f"{reason}: {detail}" if detail else reason

    def _named(self, alarms: Iterable[str]) -> Iterator[str]:
        return (name_of(self._hass, ALARM_OF[key]) for key in alarms)


def _reasons(status: Status, sent: Limits | None) -> dict[str, dict[str, Any]]:
    """Return why each limit is no more than it is told, and whose values decide it."""
    verdict = status.verdict
    if sent is None or verdict is None:
        return {}
    limits = (
        (_VOLTAGE, sent.voltage, verdict.voltage),
        (_CHARGE, sent.charge, verdict.charge),
        (_DISCHARGE, sent.discharge, verdict.discharge),
    )
    return {
        key: {"reason": RISING, "pack": None}
        if advice.value is not None and _as_told(told) < _as_told(advice.value)
        else {"reason": advice.reason, "pack": advice.pack}
        for key, told, advice in limits
    }


def _as_told(limit: float) -> float:
    """Return a limit as a message holds it."""
    return at_most(limit * 10) / 10
