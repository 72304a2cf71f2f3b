"""One switch from its first read to its proof; nothing else is written by `4E 57`.

Only three ids were ever seen to take a write (ttl4e57.md 6): all else is read only.
"""

from collections.abc import Mapping
from typing import Any, Final, override

from ..budget import WriteBudget
from ..codecs import Value
from ..datum import Field, Firmware
from ..fields import BALANCER, CHARGING_SWITCH, DISCHARGING_SWITCH
from ..write_job import Outcome, ProvenJob, WriteResult
from ..writing import Change
from .frames import Message, write

type Values = Mapping[str, Value]

CODES: Final[dict[Field[Any], int]] = {
    CHARGING_SWITCH: 0xAB,
    DISCHARGING_SWITCH: 0xAC,
    BALANCER: 0x9D,
}
"""The ids of the switches."""
_BALANCER_UNTIL: Final = Firmware(11, 0)
"""From then on it is not accepted any more (ttl4e57.md 4)."""


def takes(field: Field[Any], firmware: Firmware | None) -> bool:
    """Tell whether a BMS of this firmware lets the setting be written."""
    if field is BALANCER:
        return firmware is not None and firmware < _BALANCER_UNTIL
    return field in CODES


class SwitchJob(ProvenJob[Values, Message]):
    """The change of one switch."""

    def __init__(
        self, change: Change, firmware: Firmware | None, budget: WriteBudget
    ) -> None:
        """Begin; a setting that is not written here ends at once."""
        super().__init__(change.address, change.field, known=True)
        self.change = change
        self._budget = budget
        if not takes(change.field, firmware):
            self.result = WriteResult(Outcome.UNSUPPORTED)

    @property
    def code(self) -> int:
        """The id that is written."""
        return CODES[self.change.field]

    @override
    def _request(self) -> Message:
        return write(self.address, self.code, int(bool(self.change.value)))

    @override
    def _read(self, frame: Values, now: float) -> None:
        self._old = frame.get(self.change.field.key)
        if self._old is None:
            self._end(Outcome.UNSUPPORTED, None)
        elif self._old == self.change.value:
            self._end(Outcome.PROVEN, self._old)
        else:
            again = self._budget.possible_at(self.address, self.code, now)
            if again > now:
                self.result = WriteResult(
                    Outcome.TOO_OFTEN, self._old, self._old, again_at=again
                )

    @override
    def _look(self, frame: Values, now: float) -> tuple[Value, bool, bool]:
        found = frame.get(self.change.field.key)
        return found, found == self.change.value, found == self._old
