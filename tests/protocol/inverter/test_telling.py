"""What an inverter is told of the alarms of packs (inverter.md 6)."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.can.frame import Decoded
from custom_components.jkbms.protocol.inverter.languages import (
    LENGTH,
    SCRIPTS,
    Language,
)
from custom_components.jkbms.protocol.inverter.limits import Rules, judge
from custom_components.jkbms.protocol.inverter.sight import ALARM_OF, PackSight
from custom_components.jkbms.protocol.inverter.telling import Limits, Telling

from .bank import sight

OWN: Final = {
    "battery_overvoltage",
    "battery_undervoltage",
    "charge_overcurrent",
    "discharge_overcurrent",
}
"""What every language has a word for."""
NEAREST: Final = """
    mos_overtemperature high_temperature high_temperature high_temperature discharge_overtemperature discharge_overtemperature
    cell_overvoltage battery_overvoltage battery_overvoltage battery_overvoltage = =
    charge_short_circuit charge_overcurrent charge_overcurrent short_circuit short_circuit charge_overcurrent
    charge_overtemperature high_temperature high_temperature = = =
    charge_undertemperature low_temperature low_temperature = = =
    internal_communication * = * * =
    cell_undervoltage battery_undervoltage battery_undervoltage battery_undervoltage = =
    discharge_short_circuit discharge_overcurrent discharge_overcurrent short_circuit short_circuit discharge_overcurrent
    discharge_overtemperature high_temperature high_temperature high_temperature = =
    charge_mos * * contactor * *
    discharge_mos * * contactor * *
    battery_overtemperature high_temperature high_temperature high_temperature charge_overtemperature charge_overtemperature
    discharge_overcurrent_2 discharge_overcurrent discharge_overcurrent discharge_overcurrent discharge_overcurrent discharge_overcurrent
    discharge_overcurrent_3 discharge_overcurrent discharge_overcurrent discharge_overcurrent discharge_overcurrent discharge_overcurrent
    discharge_undertemperature low_temperature low_temperature low_temperature = =
    high_temperature = = = discharge_overtemperature discharge_overtemperature
    low_temperature = = = discharge_undertemperature discharge_undertemperature
    cell_difference = cell_failure = = =
    low_soc battery_undervoltage battery_undervoltage battery_undervoltage battery_undervoltage battery_undervoltage
    system = * = = *
    contactor * * = * *
    short_circuit discharge_overcurrent discharge_overcurrent = = discharge_overcurrent
    general * * = * *
    soft_start * * * = *
    cell_failure * = * * *
    box_overtemperature high_temperature high_temperature high_temperature discharge_overtemperature discharge_overtemperature
"""
"""An alarm, and what is said of it: to a Pylontech as alarm and as warning, to an SMA, to
a Growatt as alarm and as warning; = its own word, * the general one."""
_PYLON: Final = ("system", "internal_communication")
GENERAL: Final = (*_PYLON, "system", *_PYLON)
"""What is said of all others."""
COLUMNS: Final = {
    Language.PYLONTECH_1_2: (0, 1),
    Language.PYLONTECH_1_3: (0, 1),
    Language.DEYE: (0, 1),
    Language.LUXPOWER: (0, 1),
    Language.SMA: (2, 2),
    Language.VICTRON: (2, 2),
    Language.GROWATT: (3, 4),
}


def word(alarm: str, column: int) -> str:
    """Return what is to be said of an alarm."""
    rows = {row[0]: row[1:] for row in map(str.split, NEAREST.strip().splitlines())}
    if alarm in OWN:
        return alarm
    said = rows[alarm][column] if alarm in rows else "*"
    return {"=": alarm, "*": GENERAL[column]}.get(said, said)


@pytest.mark.parametrize("language", Language)
def test_an_alarm_is_told_by_the_nearest_word_that_a_language_has(
    language: Language,
) -> None:
    as_alarm, as_warning = COLUMNS[language]
    for key in ALARM_OF:
        pack = sight(problems=(key,), warnings=(key,))
        told = Telling(judge([pack], Rules(), 0.0), SCRIPTS[language])
        alarm = key.removeprefix("alarm_")
        assert [each.key for each in told.alarms] == [f"alarm_{word(alarm, as_alarm)}"]
        assert [each.key for each in told.warnings] == [
            f"alarm_{word(alarm, as_warning)}"
        ]


def test_what_several_alarms_have_in_common_is_told_once() -> None:
    pack = sight(
        problems=("alarm_cell_overvoltage", "alarm_charge_overcurrent"),
        warnings=("alarm_high_temperature",),
    )
    other = sight(2, problems=("alarm_battery_overvoltage",))
    told = Telling(judge([pack, other], Rules(), 0.0), SCRIPTS[Language.DEYE])
    assert [each.key for each in told.alarms] == [
        "alarm_battery_overvoltage",
        "alarm_charge_overcurrent",
    ]
    assert [each.key for each in told.warnings] == ["alarm_high_temperature"]


def test_every_alarm_that_is_named_here_is_one_of_a_pack() -> None:
    named = {row.split()[0] for row in NEAREST.strip().splitlines()} | OWN
    assert {f"alarm_{name}" for name in named} <= ALARM_OF.keys()


def said(
    *packs: PackSight, language: Language = Language.PYLONTECH_1_3, **rules: Any
) -> Decoded:
    """Return what there is to say of packs in a language."""
    verdict = judge(packs, Rules(**rules), 0.0)
    return Telling(verdict, SCRIPTS[language]).with_limits(
        Limits(voltage=0.0, charge=0.0, discharge=0.0),
        may_charge=True,
        may_discharge=True,
    )


def told(*packs: PackSight, **rules: Any) -> Mapping[str, Any]:
    """Return what an inverter is told of packs."""
    return said(*packs, **rules).values


def charge_and_health(*packs: PackSight) -> tuple[Any, Any]:
    values = told(*packs)
    return values["state_of_charge"], values["state_of_health"]


@pytest.mark.parametrize(
    ("language", "code", "data"),
    [
        (Language.PYLONTECH_1_2, 0x35E, b"PYLON   "),
        (Language.PYLONTECH_1_3, 0x35E, b"Energy\0\0"),
        (Language.DEYE, 0x35E, b"JK-BMS\0\0"),
        (Language.SMA, 0x35E, b"SMA\0\0\0\0\0"),
        (Language.VICTRON, 0x35E, b"JK-BMS\0\0"),
        (Language.VICTRON, 0x370, b"JK-BMS\0\0"),
        (Language.VICTRON, 0x382, b"JK-BMS\0\0"),
        (Language.LUXPOWER, 0x35E, b"JK-BMS\0\0"),
        (Language.GROWATT, 0x320, b"JK\0\0\0\0\0\0"),
    ],
)
def test_an_inverter_hears_the_maker_that_it_knows_the_language_of(
    language: Language, code: int, data: bytes
) -> None:
    (layout,) = (f.layout for f in SCRIPTS[language].frames if f.id == code)
    assert layout.encode(said(sight(), language=language), LENGTH) == data


def test_packs_that_do_not_answer_are_counted() -> None:
    values = told(sight(1), sight(2), sight(3, online=False), min_packs=2)
    names = ("total", "online", "offline")
    assert [values[f"modules_{name}"] for name in names] == [3, 2, 1]


def test_large_packs_weigh_more() -> None:
    small = sight(1, state_of_charge=20.0, capacity=100.0, health=80.0)
    large = sight(2, state_of_charge=80.0, capacity=300.0, health=100.0)
    assert charge_and_health(small, large) == (65, 95)
    # Where one does not tell its capacity all weigh the same.
    unknown = sight(2, state_of_charge=80.0, capacity=None, health=100.0)
    assert charge_and_health(small, unknown) == (50, 90)
