"""Packs of a bank that tell what a test wants them to."""

from typing import Any

from custom_components.jkbms.protocol.bank_member import Member, Spot
from custom_components.jkbms.protocol.bank_state import BankState, BankView


def member(number: int = 1, **told: Any) -> Member:
    """Return a pack that tells everything, but for what is said otherwise."""
    amperes = told.get("amperes", 10.0)
    known = {
        "pack_id": f"id{number}",
        "name": f"Pack {number}",
        "online": True,
        "heard": 0.0,
        "volts": 53.0,
        "amperes": amperes,
        "watts": None if amperes is None else 53.0 * amperes,
        "state_of_charge": 50.0,
        "remaining": 140.0,
        "capacity": 280.0,
        "energy": 7.168,
        "lowest_cell": Spot(3.3, 4),
        "highest_cell": Spot(3.32, 9),
        "coldest": Spot(20.0, "T1"),
        "warmest": Spot(22.0, "T2"),
        "charge_mos": True,
        "discharge_mos": True,
        "balancing": False,
        "problem": False,
        "errors": "OK",
        "max_charge": 100.0,
        "max_discharge": 150.0,
    }
    return Member(**known | told)


def away(number: int) -> Member:
    """Return a pack that does not answer."""
    return Member(pack_id=f"id{number}", name=f"Pack {number}")


def look(*members: Member, needed: int | None = None) -> BankView:
    """Look at packs for the first time."""
    return BankState(needed).look(members, 0.0)


def value(key: str, *members: Member) -> Any:
    """Return one value of a bank."""
    return look(*members).told[key].value


def details(key: str, *members: Member) -> Any:
    """Return what belongs to a value of a bank."""
    return dict(look(*members).told[key].details)
