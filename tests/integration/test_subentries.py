"""What a subentry is called and what it remembers."""

import pytest

from custom_components.jkbms.protocol.fields import BLUETOOTH_NAME, MODEL, SERIAL_NUMBER
from custom_components.jkbms.protocol.state import BmsState
from custom_components.jkbms.subentries import suggested_title


def bms(name: str | None) -> BmsState:
    return BmsState(
        values={
            BLUETOOTH_NAME.key: name,
            MODEL.key: "JK_PB2A16S20P",
            SERIAL_NUMBER.key: "51020BO49000422",
        }
    )


@pytest.mark.parametrize(
    "name",
    [None, "51020BO49000422", "40904567891", "JK_PB2A16S20P", "JK-B2A24S15P"],
)
def test_a_name_that_says_nothing_is_replaced_by_the_address(name: str | None) -> None:
    assert suggested_title(3, bms(name)) == "JK BMS 3"


def test_the_name_its_owner_gave_a_pack_is_kept() -> None:
    assert suggested_title(3, bms("Garage left")) == "Garage left"
