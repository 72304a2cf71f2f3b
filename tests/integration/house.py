"""A house with a bus that is listened to, and sockets for a control line."""

from dataclasses import dataclass

from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import MockConfigEntry

from simulator import Bank, TcpServer

from .bus import entity_id, state_of
from .common import wait_until
from .dialog import Dialog
from .listening import Recorded


@dataclass
class House:
    """A bank, the bus on which its master asks, and its RS485-1 sockets."""

    bank: Bank
    bus: TcpServer
    sockets: TcpServer
    entry: MockConfigEntry

    @property
    def line(self) -> Recorded:
        """The bus; it keeps what it was sent."""
        assert isinstance(self.bus.line, Recorded)
        return self.bus.line

    @property
    def control(self) -> ConfigSubentry:
        """The control line's subentry."""
        return next(
            one
            for one in self.entry.subentries.values()
            if one.subentry_type == "control_line"
        )


async def connect(hass: HomeAssistant, house: House) -> Dialog:
    """Go through the dialog up to what it has found."""
    dialog = await Dialog.add_control_line(hass, house.entry)
    assert dialog.step == "user"
    await dialog.submit(device=house.sockets.url)
    assert dialog.step == "confirm_scan"
    return await dialog.choose("scan")


def is_controlled(entry: MockConfigEntry, *addresses: int) -> bool:
    """Whether exactly these packs can be asked and set, and were read."""
    if entry.state is not ConfigEntryState.LOADED:
        return False
    packs = entry.runtime_data.packs.values()
    reached = {p.address for p in packs if p.control and p.control.available}
    return reached == set(addresses) and all(p.available for p in packs)


async def controlled(hass: HomeAssistant, house: House) -> House:
    """Add the control line and wait until it is used."""
    dialog = await connect(hass, house)
    assert dialog.step == "confirm"
    await dialog.submit()
    assert dialog.step == "created"
    await wait_until(lambda: is_controlled(house.entry, *house.bank.addresses))
    await hass.async_block_till_done()
    return house


def set_voltage(hass: HomeAssistant, address: int) -> str:
    """The state of a control."""
    return state_of(hass, "number", address, "balance_starting_voltage").state


async def set_number(hass: HomeAssistant, address: int, key: str, value: float) -> None:
    """Change a setting as a person does."""
    await hass.services.async_call(
        "number",
        "set_value",
        {"entity_id": entity_id(hass, "number", address, key), "value": value},
        blocking=True,
    )


def is_heard_again(entry: MockConfigEntry) -> bool:
    """Whether the packs of the bus are heard, whatever the control line has."""
    return entry.state is ConfigEntryState.LOADED and all(
        pack.available for pack in entry.runtime_data.packs.values()
    )
