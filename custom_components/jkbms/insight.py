"""Sensors of what shows over days how well a pack is, and what is remembered for them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
import logging
from typing import Any, Final, override

from homeassistant.components.sensor import SensorEntity
from homeassistant.core import callback
from homeassistant.helpers.typing import StateType

from .descriptions import PackSensorDescription
from .entity import PackEntity

_LOGGER = logging.getLogger(__name__)
_VERSION: Final = 1
_SAVED_EVERY: Final = timedelta(minutes=15)
"""As often as Home Assistant stores the states that it restores."""


class PackInsight(PackEntity, SensorEntity):
    """A value of a pack that takes days to know."""

    entity_description: PackSensorDescription
    _said: Mapping[str, Any] | None = None

    @override
    def read(self) -> StateType | datetime:
        """Return what the readings up to now amount to."""
        known: StateType | datetime = self.pack.insight.values.get(
            self.entity_description.key
        )
        return known

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """The value in its native unit."""
        value: StateType | datetime = self.reading
        return value

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """What there is to say of the value."""
        return self.pack.insight.details.get(self.entity_description.key)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Write the state where anything shown has changed."""
        if self._said != (said := self.extra_state_attributes):
            self._said, self._shown = said, None
        super()._handle_coordinator_update()
