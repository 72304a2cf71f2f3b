"""Packs that call themselves what could harm whoever shows it."""

import re
from typing import Final
from unicodedata import category

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from hypothesis import example, given, settings, strategies as st
import pytest

from custom_components.jkbms.bus_flow import describe
from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.plain_text import plain
from custom_components.jkbms.protocol.codecs import text
from custom_components.jkbms.protocol.fields import BLUETOOTH_NAME, MODEL, SERIAL_NUMBER
from custom_components.jkbms.protocol.state import BmsState
from custom_components.jkbms.subentries import suggested_title
from simulator import Bank, TcpServer

from .dialog import Dialog

NAMES: Final = (
    *("<script>alert(1)</script>", "![x](http://e.vil/x.png)", "[x](javascript:x)"),
    *("{{ states() }}", "a|b\n| c", "\u202egnp.exe", "\x00", "\ud800", "`*_~\\", ""),
    *("%s%n{0}", "\x1b[31mred", "x" * 10_000, "\u200b\u2028", "&lt;", "../../etc"),
)


def examples(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Names that do harm, and any others."""
    return st.sampled_from(names) | st.text() | st.text("<>[]{}|\\`*:/\n\u202e ")


@settings(max_examples=100)
@given(examples(NAMES))
@example("://" * 40)
def test_a_name_is_shown_as_text_and_nothing_else(name: str) -> None:
    shown = plain(name)
    assert not set(shown) & set("<>[]{}|\\`*&!\n")
    assert "://" not in shown
    assert not [c for c in shown if category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert len(shown) <= 60
    state = BmsState(
        values={key.key: name for key in (BLUETOOTH_NAME, MODEL, SERIAL_NUMBER)}
    )
    # One row of a table, with the columns it should have.
    assert re.fullmatch(r"\|[^|\n]*\|[^|\n]*\|[^|\n]*\| – \| – \|", describe(3, state))
    assert suggested_title(3, state) == "JK BMS 3"
    assert suggested_title(3, BmsState(values={BLUETOOTH_NAME.key: name})).strip()


@settings(max_examples=100)
@given(
    st.binary(max_size=24) | examples(NAMES).map(lambda n: n.encode("utf-8", "replace"))
)
def test_a_text_of_a_frame_is_printable_ascii_or_none(raw: bytes) -> None:
    found = text(24).decode(raw)
    assert found is None or (found.isascii() and found.isprintable() and found.strip())


@pytest.mark.usefixtures("socket_enabled", "quick_looks")
async def test_a_pack_with_a_hostile_name_is_set_up_as_any_other(
    hass: HomeAssistant,
    gateway: TcpServer,
    bank: Bank,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bank[1].set("device_name", b"<b>![](//e.v)|{{")
    bank[1].set("serial_number", b"[a](x:b)<i>")
    bank[1].set("model", b"|`*{0}%s<script>")
    bank[1].set("hardware_version", b"\x1b[31m\n\n")
    bank[2].set("device_name", "\u202egnp".encode())
    dialog = await Dialog.add(hass)
    await dialog.submit(device=f"127.0.0.1:{gateway.port}")
    await dialog.choose("scan")
    assert dialog.step == "confirm"
    rows = dialog.placeholders["found"].splitlines()
    assert rows[:2] == [
        "| 1 | 0%sscript | a(x:b)i | 15.41 | 16 |",
        "| 2 | JK_PB2A16S15P | 90000000002 | 15.38 | 16 |",
    ]
    await dialog.submit(packs=["1", "2"], write_tier="off")
    await hass.async_block_till_done()
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert entry.state is ConfigEntryState.LOADED
    assert {one.title for one in entry.subentries.values()} == {"b(//e.v)", "JK BMS 2"}
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert {device.name for device in devices} == {entry.title, "b(//e.v)", "JK BMS 2"}
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert len(entities) > 200
    assert all(re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", one.entity_id) for one in entities)
    assert await hass.config_entries.async_unload(entry.entry_id)
    told = [r.getMessage() for r in caplog.records if "jkbms" in r.name]
    assert not [one for one in told if not one.isprintable()]
