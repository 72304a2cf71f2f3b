"""Dashboards for any number of packs and cells, built only of what is there."""

from collections import Counter
import json
from typing import Any

import pytest

from custom_components.jkbms.bank_descriptions import BANK
from custom_components.jkbms.bus_descriptions import TRAFFIC

from .strategy import PACK, Card, Home, bank, bus, cards, mentioned, pack, visible

OWN_CARDS = {
    "entities",
    "entity-filter",
    "gauge",
    "grid",
    "heading",
    "markdown",
    "statistic",
    "statistics-graph",
    "tile",
}
"""Cards of Home Assistant's frontend 20260930 and 20261028."""
OWN_PARTS = {"bar-gauge", "button", "entity", "sections"}
"""The features, badges, names and kinds of view of the same."""


def house(packs: int, cells: int = 16, **options: Any) -> Home:
    """Some packs, as a bank where there are several."""
    numbers = range(1, packs + 1)
    return Home(
        packs=[pack(number, cells=cells, **options) for number in numbers],
        banks=[bank(*numbers, **options)] if packs > 1 else [],
    )


def view_of(views: list[Card], path: str) -> Card:
    """The view at a path."""
    return next(view for view in views if view["path"] == path)


SIZES = pytest.mark.parametrize(
    ("packs", "cells", "everything"),
    [
        (1, 4, False),
        (1, 32, True),
        (2, 8, False),
        (4, 16, False),
        (4, 24, True),
        (16, 16, False),
        (16, 32, True),
    ],
)


@SIZES
def test_a_dashboard_shows_what_is_there_with_the_cards_of_home_assistant(
    packs: int, cells: int, everything: bool
) -> None:
    home = house(packs, cells, everything=everything)
    views = home.dashboard()
    known = {
        entity
        for device in (*home.packs, *home.banks, *home.buses)
        for entity in device["entities"].values()
    }
    assert set(mentioned(views)) <= known
    assert {card["type"] for card in cards(views)} <= OWN_CARDS | OWN_PARTS
    for view in views:
        assert view["type"] == "sections"
        assert view["sections"]
        for section in view["sections"]:
            head, *rest = section["cards"]
            assert head["type"] == "heading"
            assert head["heading"]
            assert rest


@SIZES
def test_every_link_leads_to_a_view(packs: int, cells: int, everything: bool) -> None:
    views = house(packs, cells, everything=everything).dashboard()
    paths = Counter(view["path"] for view in views)
    assert max(paths.values()) == 1
    links = {
        action["navigation_path"]
        for card in cards(views)
        for action in [card.get("tap_action", {})]
        if action.get("action") == "navigate"
    }
    assert links
    inner = {link for link in links if not link.startswith("/config/devices/device/")}
    assert inner <= paths.keys()
    hidden = {view["path"] for view in views if view.get("subview")}
    assert hidden <= inner


@SIZES
def test_nothing_shows_twice_in_a_view(
    packs: int, cells: int, everything: bool
) -> None:
    views = house(packs, cells, everything=everything).dashboard()
    for view in views:
        shown = Counter(
            card["entity"]
            for card in visible(view, {})
            if card["type"] in ("tile", "gauge", "statistic")
        )
        assert [entity for entity, often in shown.items() if often > 1] == []


def test_one_pack_needs_no_overview() -> None:
    views = house(1).dashboard()
    assert [view["title"] for view in views] == ["Pack 1", "Settings"]


def test_several_packs_have_an_overview_a_view_each_and_settings() -> None:
    views = house(3).dashboard()
    tabs = [view["title"] for view in views if not view.get("subview")]
    assert tabs == ["Overview", "Pack 1", "Pack 2", "Pack 3", "Settings"]


def test_sixteen_packs_are_reached_through_the_overview() -> None:
    views = house(16).dashboard()
    tabs = [view["title"] for view in views if not view.get("subview")]
    assert tabs == ["Overview", "Settings"]
    tiles = {
        card["tap_action"]["navigation_path"]
        for card in cards(views[0])
        if card["type"] == "tile" and "tap_action" in card
    }
    assert tiles == {f"pack-device{number}" for number in range(1, 17)}


def test_several_banks_have_an_overview_each() -> None:
    home = Home(
        packs=[pack(number) for number in (1, 2, 3, 4)],
        banks=[bank(1, 2, name="Cellar"), bank(3, 4, name="Garage")],
    )
    cellar, garage, *_ = home.dashboard()
    assert (cellar["title"], garage["title"]) == ("Cellar", "Garage")
    named = [card.get("name") for card in cards(garage) if card["type"] == "tile"]
    assert "Pack 3" in named
    assert "Pack 1" not in named


def test_what_was_renamed_is_shown_under_its_new_id() -> None:
    home = Home(packs=[pack(1, prefix="battery_in_the_garage")])
    assert "sensor.battery_in_the_garage_1_cell_voltage_16" in set(
        mentioned(home.dashboard())
    )


@pytest.mark.parametrize("gone", ["state_of_charge", "min_voltage_cell", "balancing"])
def test_what_is_disabled_or_hidden_is_left_out(gone: str) -> None:
    home = house(2)
    for one in home.packs:
        del one["entities"][gone]
    for one in home.banks:
        one["entities"].pop(gone, None)
    text = json.dumps(home.dashboard())
    assert f'_{gone}"' not in text
    assert "null" not in text


def test_a_pack_with_nothing_but_its_voltage_has_a_view() -> None:
    bare = {**pack(1), "entities": {"total_voltage": "sensor.a"}, "cell_range": None}
    (view,) = Home(packs=[bare]).dashboard()
    assert set(mentioned(view)) == {"sensor.a"}


def test_without_a_pack_it_says_where_to_add_one() -> None:
    (view,) = Home(packs=[], buses=[]).dashboard()
    (note,) = view["cards"]
    assert "/config/integrations/integration/jkbms" in note["content"]


def test_every_key_that_is_asked_for_exists() -> None:
    home = Home(
        packs=[pack(1, cells=32, everything=True), pack(2, cells=32, everything=True)],
        banks=[bank(1, 2, everything=True)],
    )
    asked = home.ask("dashboard")["asked"]
    known = {
        "packs": {d.key for table in PACK.values() for d in table}
        | {d.key for d in TRAFFIC["sensor"]}
        | {"online"},
        "banks": {d.key for table in BANK.values() for d in table},
        "buses": {d.key for table in TRAFFIC.values() for d in table},
    }
    # A setting need not have a twin.
    twins = {f"{d.key}_set" for table in PACK.values() for d in table}
    # JSON.stringify and the like ask for these of any object.
    of_javascript = {"toJSON", "then"}
    assert set(asked["packs"]) - known["packs"] - twins - of_javascript == set()
    assert set(asked["banks"]) - known["banks"] - of_javascript == set()
    assert set(asked["buses"]) - known["buses"] - of_javascript == set()


class TestCells:
    """The cells of a pack as bars."""

    @staticmethod
    def bars(of: Card, **states: str) -> list[Card]:
        """The bars that show while the pack says so."""
        view = Home(packs=[of]).view(pack=of["name"])
        said = {of["entities"][key]: state for key, state in states.items()}
        cell = {
            of["entities"][key]: number
            for number in range(1, 33)
            if (key := f"cell_voltage_{number}") in of["entities"]
        }
        return [
            {**card, "cell": cell[card["entity"]]}
            for card in visible(view, said)
            if card.get("entity") in cell
        ]

    @pytest.mark.parametrize("cells", [4, 8, 15, 16, 24, 32])
    def test_each_cell_is_there_once_and_in_order(self, cells: int) -> None:
        bars = self.bars(
            pack(1, cells=cells), min_voltage_cell="3", max_voltage_cell="1"
        )
        assert [bar["cell"] for bar in bars] == [*range(1, cells + 1)]

    @pytest.mark.parametrize("balancing", ["on", "off", "unavailable"])
    def test_the_lowest_and_the_highest_are_marked(self, balancing: str) -> None:
        bars = self.bars(
            pack(1), min_voltage_cell="11", max_voltage_cell="2", balancing=balancing
        )
        assert len(bars) == 16
        colors = {bar["cell"]: bar["color"] for bar in bars}
        assert (colors.pop(11), colors.pop(2)) == ("blue", "orange")
        assert set(colors.values()) == {"green"}

    def test_balancing_looks_otherwise_at_both_ends(self) -> None:
        def icons(balancing: str) -> set[str]:
            bars = self.bars(
                pack(1), min_voltage_cell="1", max_voltage_cell="2", balancing=balancing
            )
            return {bar["icon"] for bar in bars if bar["cell"] in (1, 2)}

        assert icons("on") == {"mdi:battery-arrow-up", "mdi:battery-arrow-down"}
        assert icons("on").isdisjoint(icons("off"))

    def test_cells_that_are_all_alike_show_once(self) -> None:
        bars = self.bars(pack(1), min_voltage_cell="1", max_voltage_cell="1")
        assert [bar["cell"] for bar in bars] == [*range(1, 17)]

    def test_a_silent_pack_shows_its_cells_without_a_mark(self) -> None:
        bars = self.bars(
            pack(1), min_voltage_cell="unavailable", max_voltage_cell="unavailable"
        )
        assert len(bars) == 16
        assert {bar["color"] for bar in bars} == {"green"}

    def test_a_bar_reaches_from_protection_to_protection(self) -> None:
        bar, *_ = self.bars(pack(1))
        (feature,) = bar["features"]
        assert (feature["type"], feature["min"], feature["max"]) == (
            "bar-gauge",
            2.6,
            3.65,
        )

    def test_a_pack_that_tells_no_protection_has_bars(self) -> None:
        bar, *_ = self.bars({**pack(1), "cell_range": None})
        (feature,) = bar["features"]
        assert feature["min"] < 3 < feature["max"]


class TestTrouble:
    """What is wrong is seen at once."""

    @staticmethod
    def shown(home: Home, **states: str) -> str:
        """What the overview shows, as text."""
        overview, *_ = home.dashboard()
        known = {
            f"{device['device_id']}.{key}": entity
            for device in (*home.packs, *home.banks, *home.buses)
            for key, entity in device["entities"].items()
        }
        said = {known[name.replace("__", ".")]: state for name, state in states.items()}
        return json.dumps(list(visible(overview, said)))

    @pytest.mark.parametrize(
        ("told", "entity"),
        [
            ({"device2__problem": "on"}, "sensor.pack_2_errors"),
            ({"device2__online": "off"}, "binary_sensor.pack_2_online"),
            (
                {"bus__health": "silent"},
                "state_translated('sensor.gateway_health')",
            ),
        ],
    )
    @pytest.mark.parametrize("banks", [True, False])
    def test_a_trouble_shows_while_it_lasts(
        self, told: dict[str, str], entity: str, banks: bool
    ) -> None:
        home = house(2)
        if not banks:
            home = Home(packs=home.packs)
        assert entity in self.shown(home, **told)
        assert entity not in self.shown(home, device2__online="on", bus__health="ok")

    def test_packs_that_do_not_take_part_show(self) -> None:
        entity = "binary_sensor.battery_bank_pack_not_participating"
        told = {"battery_bank__pack_not_participating": "on"}
        assert entity in self.shown(house(2), **told)
        assert entity not in self.shown(house(2))

    def test_a_pack_lists_its_alarms_only_while_they_are_active(self) -> None:
        (one,) = house(1).packs
        view = Home(packs=[one]).view(pack="Pack 1")
        (found,) = [card for card in cards(view) if card["type"] == "entity-filter"]
        assert found["conditions"] == [{"condition": "state", "state": "on"}]
        assert found["show_empty"] is False
        assert {row["entity"] for row in found["entities"]} == {
            entity
            for key, entity in one["entities"].items()
            if key.startswith("alarm_")
        }

    def test_a_reason_shows_only_where_there_is_one(self) -> None:
        (one,) = house(1).packs
        reason = one["entities"]["charging_block_reason"]
        view = Home(packs=[one]).view(pack="Pack 1")

        def shows(state: str) -> bool:
            return reason in {c.get("entity") for c in visible(view, {reason: state})}

        assert shows("overvoltage")
        assert not shows("none")
        assert not shows("unavailable")


class TestSettings:
    """Numbers, switches and choices by tier."""

    @staticmethod
    def shown(of: Card, **states: str) -> list[set[Any]]:
        """The entities that show in each section."""
        view = Home(packs=[of]).view(pack=of["name"], view="settings")
        said = {of["entities"][key]: state for key, state in states.items()}
        return [
            {card.get("entity") for card in visible({"sections": [section]}, said)}
            for section in view["sections"]
        ]

    def test_they_are_grouped_by_the_harm_they_can_do(self) -> None:
        everyday, protection, _ = self.shown(pack(1, everything=True))
        assert "number.pack_1_balance_trigger_voltage" in everyday
        assert "switch.pack_1_charging" in everyday
        assert "number.pack_1_cell_ovp" in protection
        assert everyday.isdisjoint(protection - {None})

    def test_a_closed_tier_shows_what_is_set_and_how_to_open_it(self) -> None:
        of = pack(1, everything=True)
        closed = {
            key: "unavailable"
            for key, entity in of["entities"].items()
            if entity.split(".")[0] in ("number", "switch", "select")
        }
        everyday, protection, _ = self.shown(of, **closed)
        controls = {of["entities"][key] for key in closed}
        assert (everyday | protection).isdisjoint(controls)
        assert "sensor.pack_1_cell_ovp_set" in protection
        view = Home(packs=[of]).view(pack="Pack 1", view="settings")
        notes = list(visible(view, dict.fromkeys(controls, "unavailable")))
        assert sum(card["type"] == "markdown" for card in notes) == 2

    def test_an_open_tier_has_no_note_and_no_twin(self) -> None:
        everyday, protection, _ = self.shown(pack(1, everything=True))
        entities = everyday | protection
        assert not {e for e in entities if e and e.endswith("_cell_ovp_set")}
        view = house(1).view(pack="Pack 1", view="settings")
        assert "markdown" not in {card["type"] for card in visible(view, {})}

    def test_a_pack_without_controls_shows_what_it_tells(self) -> None:
        of = pack(1)
        of["entities"] = {
            key: entity
            for key, entity in of["entities"].items()
            if entity.split(".")[0] in ("sensor", "binary_sensor")
        }
        sections = self.shown(of)
        assert any("sensor.pack_1_max_charge_current_set" in one for one in sections)

    def test_no_switch_is_switched_without_a_question(self) -> None:
        home = house(2, everything=True)
        for card in cards(home.dashboard()):
            for name in ("tap_action", "icon_tap_action", "hold_action"):
                action = card.get(name, {})
                if action.get("action") in ("toggle", "perform-action"):
                    assert "Pack " in action["confirmation"]["text"]
            if str(card.get("entity")).startswith("switch."):
                assert card["tap_action"]["action"] == "toggle"

    def test_packs_that_tell_no_settings_have_no_settings_view(self) -> None:
        bare = {**pack(1), "entities": {"total_voltage": "sensor.a"}}
        assert [view["title"] for view in Home(packs=[bare]).dashboard()] == ["Pack 1"]
        view = Home(packs=[bare]).view(pack="Pack 1", view="settings")
        assert [card["type"] for card in visible(view, {})] == ["markdown"]


class TestOptions:
    """What may be chosen."""

    def test_packs_are_chosen_by_name_or_by_id(self) -> None:
        views = house(4).dashboard(packs=["Pack 3", "device1"], bank=False)
        tabs = [view["title"] for view in views if not view.get("subview")]
        assert tabs == ["Overview", "Pack 3", "Pack 1", "Settings"]
        assert "sensor.battery_bank_power" not in set(mentioned(views))

    def test_a_bank_brings_its_packs(self) -> None:
        home = Home(
            packs=[pack(number) for number in (1, 2, 3)],
            banks=[bank(1, 2, 3), bank(2, 3, name="Garage")],
        )
        views = home.dashboard(bank="Garage")
        tabs = [view["title"] for view in views if not view.get("subview")]
        assert tabs == ["Overview", "Pack 2", "Pack 3", "Settings"]
        assert "sensor.garage_power" in set(mentioned(views))

    def test_settings_can_be_left_out(self) -> None:
        views = house(2).dashboard(settings=False)
        assert [v["title"] for v in views] == ["Overview", "Pack 1", "Pack 2"]
        assert not {e for e in mentioned(views) if e.startswith(("switch.", "number."))}

    def test_graphs_reach_as_far_back_as_is_chosen(self) -> None:
        def graphs(**config: Any) -> set[tuple[int, str]]:
            return {
                (card["days_to_show"], card["period"])
                for card in cards(house(2).dashboard(**config))
                if card["type"] == "statistics-graph" and card["chart_type"] == "line"
            }

        assert graphs() == {(1, "5minute")}
        assert graphs(days=14) == {(14, "hour")}

    @pytest.mark.parametrize("config", [{"packs": ["Pack 9"]}, {"bank": "Pack 9"}])
    def test_a_name_that_does_not_exist_is_said(self, config: dict[str, Any]) -> None:
        error = house(2).ask("dashboard", **config)["error"]
        assert "Pack 9" in error
        assert ("Pack 2" in error) is ("packs" in config)
        assert ("Battery bank" in error) is ("bank" in config)

    def test_a_view_of_its_own_has_no_links_to_views_that_are_not_there(self) -> None:
        for config in ({"pack": "Pack 1"}, {}, {"view": "settings"}):
            view = house(2).view(**config)
            links = [
                c.get("tap_action", {}).get("navigation_path") for c in cards(view)
            ]
            assert {link for link in links if link} <= {
                f"/config/devices/device/{one}"
                for one in ("device1", "device2", "battery_bank")
            }

    def test_only_administrators_are_led_to_the_pages_of_devices(self) -> None:
        home = house(2)
        assert "/config/devices/" in json.dumps(home.dashboard())
        user = Home(packs=home.packs, banks=home.banks, admin=False)
        assert "/config/devices/" not in json.dumps(user.dashboard())


def test_the_strategies_are_made_known_once_however_often_they_are_loaded() -> None:
    found = Home(packs=[pack(1)], language="de").ask("registered", pack="Pack 1")
    assert "error" not in found, found
    (known,) = found["result"]["strategies"]
    assert known["type"] == "jkbms"
    assert known["strategyType"] == "dashboard"
    assert known["description"].startswith("Batteriepacks")
    made = found["result"]["made"]
    assert made.keys() == {"ll-strategy-dashboard-jkbms", "ll-strategy-view-jkbms"}
    dashboard = made["ll-strategy-dashboard-jkbms"]
    assert dashboard["suggestions"]["title"] == "JK BMS"
    assert [view["path"] for view in dashboard["result"]["views"]] == [
        "pack-device1",
        "settings-device1",
    ]
    assert made["ll-strategy-view-jkbms"]["result"]["type"] == "sections"


def test_the_health_of_a_bus_needs_no_bank() -> None:
    home = Home(packs=[pack(1), pack(2)], buses=[bus()])
    assert "sensor.gateway_health" in json.dumps(home.dashboard())
