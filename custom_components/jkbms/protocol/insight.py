"""What shows over days how well a pack is: its balance, its full charges, its wires.

All of it is defined in docs/insight.md. Two clocks: durations are counted on the one of
the readings, days and times of day are told by whoever reads.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from .codecs import Value
from .comparing import DIFFERENCE, Leads, Spread, in_seconds
from .datum import Quantity
from .derived import DERIVED, number
from .energy import FOLLOWED, REST, Followed, Integrator, chemistry
from .fields import CAPACITY_REMAINING, CURRENT, FULL_CHARGE_CAPACITY, STATE_OF_CHARGE
from .fields.can import CHARGE_VOLTAGE_REQUEST
from .recall import day, mapping, moment, number_in
from .wires import INTERVAL, Wires

type Values = Mapping[str, Value]


def _insight(
    key: str, name: str, quantity: Quantity, needs: frozenset[str]
) -> Followed:
    return Followed(key=key, name=name, quantity=quantity, needs=needs, enabled=False)


_BY_KEY: Final = {datum.key: datum for datum in DERIVED}
_AVERAGE: Final = _BY_KEY["average_cell_voltage"]
_HIGHEST: Final = _BY_KEY["max_cell_voltage"]
_HIGHEST_CELL: Final = _BY_KEY["max_voltage_cell"]
_BALANCING: Final = _BY_KEY["balancing"]
_RESISTANCE: Final = _BY_KEY["max_cell_resistance"]

_REST_NEEDS: Final = frozenset({CURRENT.key, FULL_CHARGE_CAPACITY.key, DIFFERENCE.key})
_TOP_NEEDS: Final = _REST_NEEDS | {_AVERAGE.key, CHARGE_VOLTAGE_REQUEST.key}
_FULL_NEEDS: Final = frozenset(
    {
        CURRENT.key,
        STATE_OF_CHARGE.key,
        CAPACITY_REMAINING.key,
        FULL_CHARGE_CAPACITY.key,
        _AVERAGE.key,
        CHARGE_VOLTAGE_REQUEST.key,
    }
)
LAST_FULL: Final = _insight(
    "last_full", "Last full charge", Quantity.TIMESTAMP, _FULL_NEEDS
)
DAYS_SINCE_FULL: Final = _insight(
    "days_since_full", "Days since full", Quantity.DAYS, _FULL_NEEDS
)
AH_SINCE_FULL: Final = _insight(
    "ah_since_full", "Ah since full", Quantity.CHARGE_THROUGHPUT, _FULL_NEEDS
)
RESTED_SPREAD: Final = _insight(
    "rested_cell_spread",
    "Cell difference at rest",
    Quantity.CELL_VOLTAGE,
    _REST_NEEDS,
)
TOP_SPREAD: Final = _insight(
    "top_cell_spread",
    "Cell difference near full",
    Quantity.CELL_VOLTAGE,
    _TOP_NEEDS,
)
LEADING_CELL: Final = _insight(
    "runaway_cell",
    "Leading cell near full",
    Quantity.NUMBER,
    _TOP_NEEDS | {_HIGHEST.key, _HIGHEST_CELL.key, STATE_OF_CHARGE.key},
)
BALANCED_TODAY: Final = _insight(
    "balancing_minutes_today",
    "Balancing time today",
    Quantity.MINUTES,
    frozenset({CURRENT.key, _BALANCING.key}),
)
RESISTANCE_CHANGE: Final = _insight(
    "cell_resistance_change",
    "Lead resistance change in a month",
    Quantity.RESISTANCE,
    frozenset({CURRENT.key, _RESISTANCE.key}),
)
INSIGHTS: Final = (
    LAST_FULL,
    DAYS_SINCE_FULL,
    AH_SINCE_FULL,
    RESTED_SPREAD,
    TOP_SPREAD,
    LEADING_CELL,
    BALANCED_TODAY,
    RESISTANCE_CHANGE,
)
OVER_TIME: Final = (*FOLLOWED, *INSIGHTS)
"""Whatever takes more than one frame to know."""

# -- cells ----------------------------------------------------------------------------

_NEAR_FULL: Final = {"lfp": 3.45, "li_ion": 4.05, "lto": 2.55}
"""Volts of the average cell: about 0.1 V below where JK's presets see 100 %, and for LFP
above all that a cell has at rest."""
_RESTED: Final = 600.0
"""Seconds of rest after which the cells are compared, and again and again."""
_TOP_EVERY: Final = 60.0
_EVER: Final = float("-inf")

# -- all of it ------------------------------------------------------------------------

_TAPERED: Final = 1 / 20
"""Share of the capacity per hour at which makers of LFP cells end a charge."""
_FULL_SOC: Final = 100
_FULL_AT_REST: Final = 0.12
"""Volts below near full that full cells keep. A pack was captured whose counter says full at
3.256 V (`tests/captures`): nobody has charged it."""
_FULL_EVERY: Final = timedelta(minutes=15)
"""While a pack stays full, the time of it is told anew so often."""
_AHEAD: Final = timedelta(days=1)
"""A time that is farther ahead was told by a wrong clock."""
_TICK: Final = 60.0
_AMPERE_HOURS: Final = 1000.0
"""In what the integrator counts of watts, kWh, per what it counts of amperes."""
_MOST_AMPERE_HOURS: Final = 1e9
_LONGEST_DAY: Final = 25 * 3600
"""Seconds of the day on which summer time ends."""


class Insight:
    """What is known of a pack from days of readings."""

    def __init__(self, cycle: float = 0.0) -> None:
        """Start with nothing; `cycle` is how many seconds are expected between readings."""
        self.values: dict[str, Any] = {}
        """What there is to show, by key."""
        self.details: dict[str, dict[str, Any]] = {}
        """What there is to say of some of it, by key."""
        self._time = self._ticked = self._looked = self._top_taken = _EVER
        self._charge = Integrator(cycle)
        self._near_full: float | None = None
        """Volts, None as long as the chemistry is unknown."""
        self._resting_since: float | None = None
        self._spreads: dict[str, Spread] = {}
        self._leads = Leads()
        self._full: datetime | None = None
        self._drawn_before = 0.0
        """Ah drawn since full that the integrator did not count, less what it did before."""
        self._today = date.min
        self._balanced = 0.0
        """Seconds of today."""
        self._balancing: bool | None = None
        self._wires = Wires()
        self._changed: set[str] = set()

    def read(self, values: Values, time: float, now: datetime) -> set[str]:
        """Take a reading into account; return the keys of what there is to show anew.

        `time` is when it was heard, in seconds; one that is not newer counts for nothing.
        `now` is the local time with its zone.
        """
        amperes = number(values, CURRENT)
        if time <= self._time or amperes is None:
            return set()
        self._time = time
        self._changed = set()
        elapsed = self._charge.read(time, amperes)
        if self._near_full is None:
            self._learn(values)
        if time - self._ticked >= _TICK:
            self._ticked = time
            self._tick(values, time, now)
        self._balance(values.get(_BALANCING.key), elapsed, now)
        full = number(values, FULL_CHARGE_CAPACITY)
        if full:
            self._judge(values, amperes, full, elapsed, now)
        return self._changed

    def _show(self, datum: Followed, value: Any, **details: Any) -> None:
        key = datum.key
        if self.values.get(key) == value and self.details.get(key, {}) == details:
            return
        self.values[key] = value
        self.details[key] = details
        self._changed.add(key)

    def _learn(self, values: Values) -> None:
        if (cells := chemistry(values)) is not None:
            self._near_full = _NEAR_FULL[cells]

    def _tick(self, values: Values, time: float, now: datetime) -> None:
        """Do what need not be done with every reading."""
        self._learn(values)
        if self._full is not None:
            self._show_days(self._full, now)
        if time - self._looked >= INTERVAL:
            self._looked = time
            self._wires.look(values, now.date())
            self._show_change()

    # Balancing

    def _balance(self, runs: object, elapsed: float | None, now: datetime) -> None:
        """Count the time in which the balancer ran; a reading in between ends half of it."""
        before, self._balancing = self._balancing, None
        if not isinstance(runs, bool):
            return
        self._balancing = runs
        today = now.date()
        if today != self._today:
            self._today, self._balanced = today, 0.0
        if elapsed and before is not None and (runs or before):
            of_today = now.hour * 3600.0 + now.minute * 60 + now.second
            self._balanced += min(elapsed, of_today) * (runs + before) / 2
        self._show(BALANCED_TODAY, int(self._balanced // 60))

    # Cells and full charges

    def _judge(
        self,
        values: Values,
        amperes: float,
        full: float,
        elapsed: float | None,
        now: datetime,
    ) -> None:
        rest = full * REST
        if abs(amperes) > rest:
            self._resting_since = None
        elif elapsed is None or self._resting_since is None:
            self._resting_since = self._time
        elif self._time - self._resting_since >= _RESTED and not self._balancing:
            self._resting_since = self._time
            self._compare(RESTED_SPREAD, values, now)
        soc = number(values, STATE_OF_CHARGE)
        if soc is not None:
            self._leads.follow(soc)
        average = number(values, _AVERAGE)
        if average is not None and self._near_full is not None:
            near_full = average >= self._near_full and amperes >= -rest
            if near_full:
                self._near(values, soc, now)
            if soc is not None and soc >= _FULL_SOC:
                remaining = number(values, CAPACITY_REMAINING)
                if remaining is not None and remaining >= full:
                    is_full = average >= self._near_full - _FULL_AT_REST
                else:
                    is_full = near_full and amperes <= full * _TAPERED
                if is_full:
                    self._note_full(now)
        if self._full is not None:
            self._show(AH_SINCE_FULL, round(self._drawn))

    def _compare(self, datum: Followed, values: Values, now: datetime) -> None:
        if (spread := Spread.of(values, now)) is not None:
            self._spreads[datum.key] = spread
            self._show_spread(datum, spread)

    def _show_spread(self, datum: Followed, spread: Spread) -> None:
        self._show(
            datum,
            spread.volts,
            measured=spread.measured,
            state_of_charge=spread.state_of_charge,
        )

    def _near(self, values: Values, soc: float | None, now: datetime) -> None:
        if self._time - self._top_taken >= _TOP_EVERY:
            self._top_taken = self._time
            self._compare(TOP_SPREAD, values, now)
        volts, cell = number(values, _HIGHEST), values.get(_HIGHEST_CELL.key)
        if soc is None or volts is None or not isinstance(cell, int):
            return
        if self._leads.note(cell, volts, soc):
            self._show_lead()

    def _show_lead(self) -> None:
        if (most := self._leads.most) is not None:
            cell, led = most
            self._show(LEADING_CELL, cell, led=led, charges=len(self._leads.cells))

    @property
    def _drawn(self) -> float:
        return self._drawn_before + self._charge.discharged * _AMPERE_HOURS

    def _note_full(self, now: datetime) -> None:
        self._drawn_before -= self._drawn
        self._full = in_seconds(now)
        shown = self.values.get(LAST_FULL.key)
        if shown is None or abs(self._full - shown) >= _FULL_EVERY:
            self._show(LAST_FULL, self._full)
        self._show_days(self._full, now)

    def _show_days(self, full: datetime, now: datetime) -> None:
        since = now.astimezone(UTC) - full
        if since < -_AHEAD:
            self._full = None
            for datum in (LAST_FULL, DAYS_SINCE_FULL, AH_SINCE_FULL):
                self._show(datum, None)
            return
        tenths = since // timedelta(days=0.1)
        self._show(DAYS_SINCE_FULL, max(0, tenths) / 10)

    # Wires

    def _show_change(self) -> None:
        if (change := self._wires.change) is None:
            self._show(RESISTANCE_CHANGE, None)
        else:
            self._show(
                RESISTANCE_CHANGE,
                change.milliohms,
                cell=change.cell,
                since=change.since,
            )

    # What is remembered

    def dump(self) -> dict[str, Any]:
        """Return plain data to store."""
        return {
            "last_full": None if self._full is None else self._full.isoformat(),
            "drawn": round(self._drawn, 3),
            "spreads": {key: one.dump() for key, one in self._spreads.items()},
            "leads": self._leads.dump(),
            "today": self._today.isoformat(),
            "balanced": round(self._balanced, 1),
            "wires": self._wires.dump(),
        }

    def load(self, stored: object) -> None:
        """Go on from what `dump` has stored; what makes no sense is left out."""
        data = mapping(stored)
        full = moment(data.get("last_full"))
        drawn = number_in(data.get("drawn"), 0, _MOST_AMPERE_HOURS)
        if full is not None and drawn is not None:
            self._full, self._drawn_before = full, drawn
            self._show(LAST_FULL, full)
            self._show(AH_SINCE_FULL, round(drawn))
        spreads = mapping(data.get("spreads"))
        for datum in (RESTED_SPREAD, TOP_SPREAD):
            if (spread := Spread.load(spreads.get(datum.key))) is not None:
                self._spreads[datum.key] = spread
                self._show_spread(datum, spread)
        self._leads.load(data.get("leads"))
        self._show_lead()
        today = day(data.get("today"))
        balanced = number_in(data.get("balanced"), 0, _LONGEST_DAY)
        if today is not None and balanced is not None:
            self._today, self._balanced = today, balanced
        self._wires.load(data.get("wires"))
        self._show_change()
