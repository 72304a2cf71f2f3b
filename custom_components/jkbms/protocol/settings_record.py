"""What the settings of a BMS were when they were read last, and who has changed them.

The application, a display or the firmware can change a setting at any time: it shows
only when what is read is not what was read before, be that before a restart.
"""

from collections.abc import Iterable, Iterator, Mapping, Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from .codecs import Value
from .datum import Field
from .fields import BY_KEY, writable
from .learnt import LearntLimits
from .write_job import WriteResult
from .writing import Change, Wish

SETTINGS: Final = {field.key: field for field in writable()}
"""The settings that may be changed, by key."""


@dataclass(frozen=True, slots=True)
class Altered:
    """A setting that is not what it was."""

    field: Field[Any]
    before: Wish
    now: Wish


class SettingsRecord:
    """The settings of one BMS as they were read last, and what it has refused."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self.values: dict[str, Wish] = {}
        self._learnt = LearntLimits()

    def read(
        self, values: Mapping[str, Value], keys: Iterable[str], busy: AbstractSet[str]
    ) -> Iterator[Altered]:
        """Take note of settings that were read; yield those that somebody has changed.

        A setting that is `busy` is being changed by us: what it becomes is told by
        `settled`.
        """
        for key in keys:
            field, now = SETTINGS.get(key), values.get(key)
            if (
                field is None
                or key in busy
                or not isinstance(now, bool | float | int | str)
            ):
                continue
            before = self.values.get(key)
            self.values[key] = now
            if before is not None and before != now:
                yield Altered(field, before, now)

    def settled(self, field: Field[Any], found: Value) -> None:
        """Take note of what a setting was read as after it was changed by us."""
        if isinstance(found, bool | float | int | str):
            self.values[field.key] = found

    def limits(self, software_version: str | None) -> LearntLimits:
        """Return what the BMS has refused with this firmware; another may allow more."""
        if self._learnt.software_version != software_version:
            self._learnt = LearntLimits(software_version)
        return self._learnt

    def learn(
        self, change: Change, result: WriteResult, software_version: str | None
    ) -> None:
        """Learn from how a change has ended."""
        self._learnt = self.limits(software_version).learn(change, result)

    def dump(self) -> dict[str, Any]:
        """Return plain data to store."""
        return {"settings": dict(self.values), "learnt": self._learnt.dump()}

    def load(self, data: object, software_version: str | None) -> None:
        """Go on from what `dump` has stored; what makes no sense is left out."""
        stored = data if isinstance(data, Mapping) else {}
        settings = stored.get("settings")
        if isinstance(settings, Mapping):
            self.values = {
                key: value
                for key, value in settings.items()
                if key in SETTINGS and _is_of(BY_KEY[key], value)
            }
        self._learnt = LearntLimits.load(stored.get("learnt"), software_version)


def _is_of(field: Field[Any], value: object) -> bool:
    """Tell whether a value is of the kind that the setting has."""
    if field.options:
        return isinstance(value, str)
    if field.limits is None:
        return isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool)
