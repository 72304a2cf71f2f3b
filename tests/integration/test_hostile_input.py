"""What anybody may type into a form, or send to it past the browser."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any, Final
from unittest.mock import patch

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.json import json_bytes
import probatio
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.mode import bank_data, can_data
from custom_components.jkbms.transport.can_port import CanAdapter, CanPort
from custom_components.jkbms.transport.link import LinkError, LinkFault

from .bus import subentry_id
from .dialog import Dialog

_ROUNDS: Final = 2
_TRIES: Final = 8
"""A hundred of them, for a while, find what a few miss."""
DEEP: Final[list[Any]] = []
for _ in range(50):
    DEEP[:] = [list(DEEP)]
TEXTS: Final = (
    *("", " ", "\x00", "/\x00", "/dev/\n", "a\nb", "//", "://", "socket://[", "²"),
    *("socket://[::1", "socket://h:99999", "socket://h:-1", "socket://h:²", "h:1\r\n"),
    *("rfc2217://", "esphome-hass://\x00", "\u202e", "{{ 1/0 }}", "x" * 100_000),
    *("tcp://x@y:1", "/" * 5000, "/" + "x" * 5000, "modbus-tcp://h", "socket://h:0"),
    *("nan", "inf", "-inf", "1e400", "-1", "0", "99", "<script>", "off", "protection"),
    *("host", "127.0.0.1:1", "[::1]:1", "find_out", "500000", "slcan", "can_tcp"),
)
VALUES: Final[tuple[Any, ...]] = (
    *(None, True, -1, 0, 1, 1e300, 2**70, float("nan"), float("inf"), 0.5, 16),
    *([], {}, ["x"], [None], {"x": {}}, DEEP, [["1"]], [*range(1000)]),
)


@pytest.fixture(autouse=True)
def nobody_there() -> Iterator[None]:
    """No line can be opened: only what is typed in matters."""
    error = LinkError(LinkFault.REFUSED, "nobody")
    package = f"custom_components.{DOMAIN}"
    with (
        patch(f"{package}.line_flow.async_listen", side_effect=error),
        patch(f"{package}.line_flow.async_scan", side_effect=error),
        patch(f"{package}.can_flow.async_listen_can", side_effect=error),
    ):
        yield


def junk(random: Random) -> Any:
    """Something that no field asks for, or that one does."""
    return random.choice(random.choice((TEXTS, VALUES)))


def proper(dialog: Dialog, sound: dict[str, Any]) -> dict[str, Any]:
    """What could be left in the fields."""
    defaults = {
        str(key): key.default()
        for key in dialog.shown["data_schema"].schema
        if callable(key.default)
    }
    return defaults | sound


async def pestered(dialog: Dialog, random: Random, sound: dict[str, Any]) -> None:
    """Any input is refused as input, or leads to another step."""
    step = dialog.step
    # What the browser is sent.
    schema = dialog.shown["data_schema"]
    json_bytes(probatio.to_field_list(schema, custom_serializer=cv.custom_serializer))
    fields = [str(key) for key in dialog.shown["data_schema"].schema]
    for _ in range(_TRIES):
        some = random.sample(fields, random.randint(1, len(fields)))
        given = proper(dialog, sound) | {key: junk(random) for key in some}
        if random.random() < 0.1:
            given["x"] = junk(random)
        with suppress(InvalidData):
            await dialog.submit(**given)
        if dialog.shown["type"] is FlowResultType.CREATE_ENTRY:
            kept = (dialog.shown["data"], dialog.shown.get("options"))
            json_bytes(kept)
            assert "nan" not in str(kept)
        if dialog.shown["type"] is not FlowResultType.FORM or dialog.step != step:
            return
        json_bytes(dialog.shown["description_placeholders"])


@pytest.mark.parametrize("addresses", [(1, 2)])
async def test_nothing_that_is_typed_in_escapes_as_an_error(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    random = Random(3)
    bank = MockConfigEntry(domain=DOMAIN, title="Bank", data=bank_data())
    gateway = CanPort(adapter=CanAdapter.CAN_TCP, host="127.0.0.1", port=9)
    can = MockConfigEntry(domain=DOMAIN, title="CAN", data=can_data(gateway))
    for entry in (bank, can):
        entry.add_to_hass(hass)
    serial = {"device": "/dev/ttyUSB9"}
    network = {"host": "127.0.0.1"}
    telling = {"bank": bank.entry_id, "language": "pylontech_1_2"}
    asked: tuple[tuple[Callable[[], Awaitable[Dialog]], str, dict[str, Any]], ...] = (
        (lambda: Dialog.add(hass), "", serial),
        (lambda: Dialog.add(hass, "bank"), "", {}),
        (lambda: Dialog.add(hass, "can"), "can_interface", {}),
        (lambda: Dialog.add(hass, "can"), "can_serial", serial),
        (lambda: Dialog.add(hass, "can"), "can_network", network),
        (lambda: Dialog.add(hass, "can"), "can_other", {}),
        (lambda: Dialog.reconfigure(hass, loaded), "", serial),
        (lambda: Dialog.options(hass, loaded), "", {}),
        (lambda: Dialog.options(hass, can), "can", {}),
        (lambda: Dialog.options(hass, can), "inverter", telling),
        (lambda: Dialog.options(hass, bank), "", {}),
        (lambda: Dialog.add_bms(hass, loaded), "", {"address": "5"}),
        (lambda: Dialog.reconfigure_bms(hass, loaded, subentry_id(1)), "", {}),
    )
    for begin, option, sound in asked:
        for _ in range(_ROUNDS):
            dialog = await begin()
            if option:
                await dialog.choose(option)
            assert dialog.shown["type"] is FlowResultType.FORM
            await pestered(dialog, random, sound)
            if dialog.shown["type"] in (FlowResultType.FORM, FlowResultType.MENU):
                dialog.close()
            await hass.async_block_till_done()


@pytest.mark.parametrize("addresses", [(1, 2)])
async def test_what_is_no_number_is_no_limit_of_an_inverter(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    bank = MockConfigEntry(domain=DOMAIN, title="Bank", data=bank_data())
    gateway = CanPort(adapter=CanAdapter.CAN_TCP, host="127.0.0.1", port=9)
    can = MockConfigEntry(domain=DOMAIN, title="CAN", data=can_data(gateway))
    for entry in (bank, can):
        entry.add_to_hass(hass)
    dialog = await (await Dialog.options(hass, can)).choose("inverter")
    telling = {"bank": bank.entry_id, "language": "pylontech_1_2"}
    limits = {"charge_voltage": 56, "charge_current": 20, "discharge_current": 20}
    for field in (*limits, "min_packs"):
        for value in ("nan", float("nan"), "inf"):
            with pytest.raises(InvalidData):
                await dialog.submit(**telling, **{field: value})
    await dialog.submit(**telling, **limits, min_packs=2)
    assert dialog.step == "confirm_inverter"
    dialog.close()
