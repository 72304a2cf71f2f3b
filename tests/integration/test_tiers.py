"""Which controls may write, by what their owner allows; none of them ever goes."""

from collections.abc import Iterator
from typing import Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.descriptions import NUMBERS, SWITCHES
from custom_components.jkbms.protocol.datum import Block, Tier
from custom_components.jkbms.protocol.fields import settings
from custom_components.jkbms.tiers import WriteTier, allowed_by, allows, names_of
from simulator import Bank, TcpServer

from .bus import set_up, state_of, subentry_id, until
from .dialog import Dialog

OPENED: Final = {
    "off": set[str](),
    "everyday": {"everyday"},
    "protection": {"everyday", "protection"},
}
"""What each choice promises."""


@pytest.fixture
def addresses() -> tuple[int, ...]:
    """One pack."""
    return (1,)


@pytest.mark.parametrize("choice", [*WriteTier])
def test_a_choice_opens_what_it_promises(choice: WriteTier) -> None:
    assert {tier for tier in Tier if allows(choice, tier)} == OPENED[choice]


def test_nothing_is_allowed_until_it_is_chosen() -> None:
    assert allowed_by({}) is WriteTier.OFF
    for choice in WriteTier:
        entry = MockConfigEntry(options={"write_tier": choice.value})
        assert allowed_by(entry.options) is choice


async def test_the_protection_settings_are_named_once_each_and_no_others(
    hass: HomeAssistant,
) -> None:
    names = names_of(hass, Tier.PROTECTION)
    assert len(set(names)) == len(names)
    assert {"Cell OVP", "Cell n connection wire resistance"} <= set(names)
    for field in settings():
        guards = field.writable and field.tier is Tier.PROTECTION
        assert (field.name.replace("{number}", "n") in names) is guards, field.key


def test_no_control_is_a_danger() -> None:
    tiers = {d.datum.tier for d in NUMBERS} | {d.datum.tier for d in SWITCHES}
    assert tiers == {Tier.EVERYDAY, Tier.PROTECTION}


@pytest.mark.usefixtures("socket_enabled", "quick_looks")
async def test_protection_settings_are_opened_only_by_who_has_understood(
    hass: HomeAssistant, bank: Bank, gateway: TcpServer
) -> None:
    dialog = await Dialog.add(hass)
    await dialog.submit(device=gateway.url)
    await dialog.choose("scan")
    await dialog.submit(packs=["3", "1"], write_tier="protection")
    assert dialog.step == "confirm_protection"
    assert dialog.errors == {}
    assert dialog.shown["data_schema"]({}) == {"understood": False}
    named = dialog.placeholders["settings"].split(", ")
    assert {"Cell OVP", "Cell count (setting)", "Charge UTP", "SCP delay"} <= set(named)
    assert not {"Balance", "UART1 protocol", "Device address"} & set(named)
    await dialog.submit(understood=False)
    assert dialog.step == "confirm_protection"
    assert dialog.errors == {"understood": "not_understood"}
    assert hass.config_entries.async_entries(DOMAIN) == []
    await dialog.submit(understood=True)
    assert dialog.step == "created"
    entry = hass.config_entries.async_entries(DOMAIN)[0]
    await hass.async_block_till_done()
    assert entry.options == {"poll_interval": 5, "write_tier": "protection"}
    assert [s.data["address"] for s in entry.subentries.values()] == [1, 3]
    assert bank[1].journal == []
    assert await hass.config_entries.async_unload(entry.entry_id)


def controls(
    hass: HomeAssistant, entry: MockConfigEntry
) -> Iterator[tuple[str, str, str]]:
    """Yield the tier of every control, its state and that of its twin."""
    features = entry.runtime_data.packs[subentry_id(1)].features
    for platform, twins, descriptions in (
        ("number", "sensor", NUMBERS),
        ("switch", "binary_sensor", SWITCHES),
    ):
        for description in descriptions:
            if description.fits(features):
                state = state_of(hass, platform, 1, description.key).state
                twin = state_of(hass, twins, 1, f"{description.key}_set").state
                yield str(description.datum.tier), state, twin


def registered(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, str]:
    """Return the unique ids and entity ids of all entities."""
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return {entity.unique_id: entity.entity_id for entity in entities}


async def choose(hass: HomeAssistant, entry: MockConfigEntry, choice: str) -> None:
    """Change the option, and wait until everything of the pack was read anew."""
    before = entry.runtime_data
    hass.config_entries.async_update_entry(entry, options={"write_tier": choice})
    await until(
        lambda: (
            entry.state is ConfigEntryState.LOADED
            and entry.runtime_data is not before
            and all(
                len(pack.station.state.seen) == len(Block)
                for pack in entry.runtime_data.packs.values()
            )
        )
    )
    await hass.async_block_till_done()


@pytest.mark.usefixtures("everything_enabled", "socket_enabled")
async def test_controls_that_may_not_write_are_unavailable_and_none_is_deleted(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    await set_up(hass, entry)
    ids = registered(hass, entry)
    twins: set[tuple[str, ...]] = set()
    for choice in ("off", "everyday", "protection", "off"):
        await choose(hass, entry, choice)
        shown = list(controls(hass, entry))
        assert {tier for tier, _, _ in shown} == {"everyday", "protection"}
        opened = {tier for tier, state, _ in shown if state != STATE_UNAVAILABLE}
        assert opened == OPENED[choice]
        # All of a tier are open, or none of them.
        for tier, state, twin in shown:
            assert (state == STATE_UNAVAILABLE) is (tier not in opened)
            assert twin != STATE_UNAVAILABLE
        twins.add(tuple(twin for _, _, twin in shown))
        assert registered(hass, entry) == ids
    assert len(twins) == 1
    assert await hass.config_entries.async_unload(entry.entry_id)
