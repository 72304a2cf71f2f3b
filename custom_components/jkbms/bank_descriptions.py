"""What the values of a bank are in Home Assistant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from homeassistant.components.binary_sensor import BinarySensorEntityDescription
from homeassistant.components.sensor import SensorEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.helpers.entity import EntityDescription

from .descriptions import MEANING
from .protocol.bank_state import BANK_DATA
from .protocol.datum import Datum, Role
from .protocol.inverter.advice import ADVICE
from .protocol.inverter.limits import Reason

REASON_TEXTS: Final[Mapping[str, str]] = {
    Reason.NONE: "None",
    Reason.FLOAT: "A pack floats",
    Reason.CELL_VOLTAGE: "Cell near protection",
    Reason.COLD: "Cold",
    Reason.HOT: "Hot",
    Reason.MOS_HOT: "MOS hot",
    Reason.EMPTY: "Empty",
    Reason.SHARING: "Weakest pack decides",
    Reason.MOS_OFF: "A MOS is off",
    Reason.PACK_MISSING: "A pack is missing",
    Reason.OWN_LIMIT: "Your own limit",
    Reason.NOT_TOLD: "Values missing",
    Reason.NO_PACKS: "No bank",
    Reason.TOO_FEW_PACKS: "Too few packs answer",
    Reason.STALE: "Values too old",
    Reason.PROTECTION: "Protection active",
    Reason.IMPLAUSIBLE: "Impossible values",
}
"""What each reason of a limit is called."""


@dataclass(frozen=True, kw_only=True)
class BankDescription(EntityDescription):
    """An entity of a bank."""

    datum: Datum[Any]
    texts: Mapping[str, str] | None = None
    """The English names of what it may say."""

    @property
    def label(self) -> str:
        """The English name."""
        return self.datum.name


@dataclass(frozen=True, kw_only=True)
class BankSensorDescription(BankDescription, SensorEntityDescription):
    """A sensor of a bank."""


@dataclass(frozen=True, kw_only=True)
class BankBinarySensorDescription(BankDescription, BinarySensorEntityDescription):
    """A binary sensor of a bank."""


def _common(datum: Datum[Any]) -> dict[str, Any]:
    is_diagnostic = datum.role is Role.DIAGNOSTIC
    return {
        "key": datum.key,
        # Packs have values with the same keys and other names.
        "translation_key": f"bank_{datum.key}",
        "datum": datum,
        "entity_registry_enabled_default": datum.enabled,
        "entity_category": EntityCategory.DIAGNOSTIC if is_diagnostic else None,
    }


def _sensor(datum: Datum[Any]) -> BankSensorDescription:
    meaning = MEANING[datum.quantity]
    return BankSensorDescription(
        **_common(datum),
        options=list(datum.options) or None,
        texts=REASON_TEXTS if datum.options else None,
        device_class=meaning.sensor,
        native_unit_of_measurement=meaning.unit,
        suggested_unit_of_measurement=meaning.shown_in,
        suggested_display_precision=meaning.precision,
        state_class=meaning.state_class,
    )


def _binary_sensor(datum: Datum[Any]) -> BankBinarySensorDescription:
    return BankBinarySensorDescription(
        **_common(datum), device_class=MEANING[datum.quantity].binary
    )


BANK_SENSORS: Final = tuple(
    _sensor(datum)
    for datum in (*BANK_DATA, *ADVICE)
    if not MEANING[datum.quantity].is_binary
)
BANK_BINARY_SENSORS: Final = tuple(
    _binary_sensor(datum) for datum in BANK_DATA if MEANING[datum.quantity].is_binary
)
BANK: Final[Mapping[str, tuple[BankDescription, ...]]] = {
    "binary_sensor": BANK_BINARY_SENSORS,
    "sensor": BANK_SENSORS,
}
"""All of them by platform."""
