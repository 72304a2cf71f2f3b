"""Adding one more BMS, changing an address, and the options: on a bus that runs."""

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import InvalidData
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.protocol.fields import BY_KEY
from simulator import Bank, TcpServer

from .bus import subentry_id
from .dialog import Dialog

pytestmark = pytest.mark.usefixtures("socket_enabled", "quick_looks")


@pytest.fixture
def addresses() -> tuple[int, ...]:
    """Two of the four packs on the line are configured."""
    return (1, 2)


@pytest.fixture
def quick_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for who is not there."""
    monkeypatch.setattr("custom_components.jkbms.coordinator._IDENTIFY", 0.5)


async def test_a_bms_is_asked_shown_and_added(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    dialog = await Dialog.add_bms(hass, loaded)
    assert dialog.step == "user"
    selector = dialog.shown["data_schema"].schema["address"]
    assert selector.config["options"] == [str(n) for n in range(16) if n not in (1, 2)]
    await dialog.submit(address="3")
    assert dialog.step == "confirm"
    assert (
        dialog.placeholders["found"]
        == "| 3 | JK-PB2A16S20P | 900000B00000003 | 19.27 | 16 |"
    )
    await dialog.submit()
    assert dialog.step == "created"
    await hass.async_block_till_done()
    added = list(loaded.subentries.values())[-1]
    assert added.subentry_type == "bms"
    assert added.title == "JK BMS 3"
    assert added.data["address"] == 3
    assert added.data["serial_number"] == "900000B00000003"
    assert added.data["features"]["firmware"] == "19.27"
    # The bus has taken it up.
    assert loaded.state is ConfigEntryState.LOADED
    assert added.subentry_id in loaded.runtime_data.packs


@pytest.mark.usefixtures("quick_answers")
async def test_who_does_not_answer_is_not_added_until_he_does(
    hass: HomeAssistant, bank: Bank, loaded: MockConfigEntry
) -> None:
    bank[3].present = False
    dialog = await Dialog.add_bms(hass, loaded)
    await dialog.submit(address="3")
    assert dialog.step == "user"
    assert dialog.errors == {"address": "nothing_answered"}
    assert dialog.placeholders["address"] == "3"
    bank[3].present = True
    await dialog.submit(address="3")
    await dialog.submit()
    assert dialog.step == "created"
    await hass.async_block_till_done()


async def test_a_known_bms_at_another_address_is_not_added_twice(
    hass: HomeAssistant, bank: Bank, loaded: MockConfigEntry
) -> None:
    bank[3].set("serial_number", bank[2].serial.encode())
    dialog = await Dialog.add_bms(hass, loaded)
    await dialog.submit(address="3")
    assert dialog.errors == {"address": "already_added"}
    assert dialog.placeholders["owner"] == "Pack 2"
    await dialog.submit(address="4")
    await dialog.submit()
    assert dialog.step == "created"
    await hass.async_block_till_done()


async def test_the_name_of_a_new_bms_is_one_that_no_other_has(
    hass: HomeAssistant, loaded: MockConfigEntry, bank: Bank
) -> None:
    bank[3].set("device_name", b"Pack 2")
    dialog = await Dialog.add_bms(hass, loaded)
    await (await dialog.submit(address="3")).submit()
    await hass.async_block_till_done()
    assert [s.title for s in loaded.subentries.values()][-1] == "Pack 2 3"


async def test_two_dialogs_do_not_add_the_same_bms(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    one = await Dialog.add_bms(hass, loaded)
    other = await Dialog.add_bms(hass, loaded)
    await one.submit(address="3")
    await other.submit(address="3")
    await one.submit()
    assert one.step == "created"
    await other.submit()
    assert other.step == "abort:already_configured"
    await hass.async_block_till_done()


async def test_nothing_can_be_asked_while_the_bus_is_away(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    dialog = await Dialog.add_bms(hass, entry)
    assert dialog.step == "abort:not_loaded"
    dialog = await Dialog.reconfigure_bms(hass, entry, subentry_id(1))
    assert dialog.step == "abort:not_loaded"


class TestFullBus:
    """Sixteen packs."""

    @pytest.fixture
    def addresses(self) -> tuple[int, ...]:
        return tuple(range(16))

    @pytest.fixture
    def bank(self) -> Bank:
        return Bank.default(range(16), still=True)

    async def test_a_full_bus_takes_no_more(
        self, hass: HomeAssistant, loaded: MockConfigEntry
    ) -> None:
        dialog = await Dialog.add_bms(hass, loaded)
        assert dialog.step == "abort:no_free_address"


async def test_a_bms_whose_dip_switches_were_changed_keeps_its_subentry(
    hass: HomeAssistant, bank: Bank, loaded: MockConfigEntry
) -> None:
    bank[4].set("serial_number", bank[2].serial.encode())
    bank[2].present = False
    dialog = await Dialog.reconfigure_bms(hass, loaded, subentry_id(2))
    assert dialog.step == "reconfigure"
    assert dialog.placeholders["name"] == "Pack 2"
    selector = dialog.shown["data_schema"].schema["address"]
    assert selector.config["options"] == [str(n) for n in range(16) if n != 1]
    await dialog.submit(address="4")
    assert dialog.step == "abort:reconfigure_successful"
    await hass.async_block_till_done()
    subentry = loaded.subentries[subentry_id(2)]
    assert subentry.title == "Pack 2"
    assert subentry.data["address"] == 4
    assert subentry.data["serial_number"] == bank[2].serial
    assert loaded.runtime_data.packs[subentry_id(2)].address == 4


async def test_the_address_a_bms_has_already_is_no_change(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    before = dict(loaded.subentries[subentry_id(2)].data)
    dialog = await Dialog.reconfigure_bms(hass, loaded, subentry_id(2))
    await dialog.submit(address="2")
    assert dialog.step == "abort:reconfigure_successful"
    assert loaded.subentries[subentry_id(2)].data == before


async def test_another_board_continues_the_history_only_when_that_is_wanted(
    hass: HomeAssistant, bank: Bank, loaded: MockConfigEntry
) -> None:
    dialog = await Dialog.reconfigure_bms(hass, loaded, subentry_id(2))
    await dialog.submit(address="3")
    assert dialog.step == "replaced"
    assert dialog.placeholders["known"] == bank[2].serial
    assert bank[3].serial in dialog.placeholders["found"]
    assert loaded.subentries[subentry_id(2)].data["address"] == 2
    await dialog.submit()
    assert dialog.step == "abort:reconfigure_successful"
    await hass.async_block_till_done()
    data = loaded.subentries[subentry_id(2)].data
    assert (data["address"], data["serial_number"]) == (3, bank[3].serial)


@pytest.mark.usefixtures("quick_answers")
async def test_an_address_is_not_changed_to_where_nobody_or_somebody_else_answers(
    hass: HomeAssistant, bank: Bank, loaded: MockConfigEntry
) -> None:
    bank[4].set("serial_number", bank[1].serial.encode())
    dialog = await Dialog.reconfigure_bms(hass, loaded, subentry_id(2))
    await dialog.submit(address="9")
    assert dialog.step == "reconfigure"
    assert dialog.errors == {"address": "nothing_answered"}
    await dialog.submit(address="4")
    assert dialog.errors == {"address": "already_added"}
    assert dialog.placeholders["owner"] == "Pack 1"
    bank[4].set("serial_number", bank[2].serial.encode())
    await dialog.submit(address="4")
    assert dialog.step == "abort:reconfigure_successful"
    await hass.async_block_till_done()


async def test_the_options_are_stored_and_take_effect_at_once(
    hass: HomeAssistant, loaded: MockConfigEntry, gateway: TcpServer
) -> None:
    assert not loaded.runtime_data.allows(BY_KEY["balancer"])
    dialog = await Dialog.options(hass, loaded)
    assert dialog.step == "init"
    schema = dialog.shown["data_schema"]
    defaults = {"poll_interval": 5, "write_tier": "off", "return_to_master": False}
    assert schema({}) == defaults
    before = loaded.runtime_data
    await dialog.submit(
        poll_interval=10.0, write_tier="everyday", return_to_master=True
    )
    assert dialog.step == "created"
    await hass.async_block_till_done()
    wanted = {"poll_interval": 10, "write_tier": "everyday", "return_to_master": True}
    assert loaded.options == wanted
    assert isinstance(loaded.options["poll_interval"], int)
    assert loaded.runtime_data is not before
    assert loaded.runtime_data.allows(BY_KEY["balancer"])
    assert not loaded.runtime_data.allows(BY_KEY["cell_ovp"])
    assert gateway.clients == 1
    # The next time, the form shows what is set.
    dialog = await Dialog.options(hass, loaded)
    shown = {
        str(key): key.description["suggested_value"]
        for key in dialog.shown["data_schema"].schema
    }
    assert shown == wanted
    dialog.close()


async def test_protection_settings_take_a_second_confirmation_once(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    wanted = {"poll_interval": 7, "write_tier": "protection", "return_to_master": False}
    dialog = await Dialog.options(hass, loaded)
    await dialog.submit(**wanted)
    assert dialog.step == "confirm_protection"
    assert "Cell OVP" in dialog.placeholders["settings"]
    await dialog.submit(understood=False)
    assert dialog.errors == {"understood": "not_understood"}
    assert loaded.options == {}
    await dialog.submit(understood=True)
    assert dialog.step == "created"
    await hass.async_block_till_done()
    assert loaded.options == wanted
    assert loaded.runtime_data.allows(BY_KEY["cell_ovp"])
    # Who has it keeps it without being asked again.
    dialog = await Dialog.options(hass, loaded)
    await dialog.submit(**wanted | {"poll_interval": 8})
    assert dialog.step == "created"
    assert loaded.options["poll_interval"] == 8
    # Who gave it back is asked again.
    for tier, step in (("everyday", "created"), ("protection", "confirm_protection")):
        await hass.async_block_till_done()
        dialog = await Dialog.options(hass, loaded)
        await dialog.submit(**wanted | {"write_tier": tier})
        assert dialog.step == step
    assert loaded.options["write_tier"] == "everyday"
    dialog.close()


async def test_a_tier_that_there_is_not_is_refused(
    hass: HomeAssistant, loaded: MockConfigEntry
) -> None:
    dialog = await Dialog.options(hass, loaded)
    for tier in ("danger", True, ""):
        with pytest.raises(InvalidData):
            await dialog.submit(poll_interval=5, write_tier=tier)
    dialog.close()


@pytest.mark.parametrize("seconds", [0, 61])
async def test_an_interval_out_of_its_limits_is_refused(
    hass: HomeAssistant, loaded: MockConfigEntry, seconds: int
) -> None:
    dialog = await Dialog.options(hass, loaded)
    with pytest.raises(InvalidData):
        await dialog.submit(poll_interval=seconds, write_tier="off")
    dialog.close()
