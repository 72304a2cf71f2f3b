"""What hassfest and HACS would say about the integration's files."""

from collections.abc import Callable
import json
from pathlib import Path
import struct
from typing import Any, Final

import pytest

from .rules import (
    hacs_problems,
    icon_problems,
    language_problems,
    manifest_problems,
    translation_problems,
)

ROOT: Final = Path(__file__).parents[2]
COMPONENT: Final = ROOT / "custom_components" / "jkbms"

GOOD_TEXTS: Final[dict[str, Any]] = {
    "config": {
        "step": {
            "user": {
                "title": "Line",
                "data": {"device": "Port"},
                "data_description": {"device": "Which"},
            }
        }
    },
    "entity": {
        "sensor": {
            "soc": {"name": "State of charge"},
            "cell": {"name": "Cell {number}"},
        }
    },
    "exceptions": {"refused": {"message": "{pack} refused"}},
    "issues": {"baud": {"title": "Wrong speed", "description": "Set it."}},
}
GOOD_ICONS: Final[dict[str, Any]] = {
    "entity": {
        "sensor": {
            "soc": {"default": "mdi:battery", "state": {"0": "mdi:battery-outline"}}
        }
    }
}


def load(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def changed(tree: Any, path: str, value: Any) -> Any:
    """Return a copy of a tree with one value set, or taken away when it is None."""
    copy = json.loads(json.dumps(tree))
    *parents, last = path.split("/")
    node = copy
    for key in parents:
        node = node[key]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return copy


def test_the_manifest_follows_hassfest() -> None:
    assert manifest_problems(load(COMPONENT / "manifest.json"), COMPONENT.name) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("domain", "other"),
        ("domain", None),
        ("name", None),
        ("version", None),
        ("version", "latest"),
        ("codeowners", []),
        ("codeowners", ["jkbms"]),
        ("documentation", "http://example.org"),
        ("documentation", "https://www.home-assistant.io/integrations/jkbms"),
        ("issue_tracker", None),
        ("iot_class", "local"),
        ("integration_type", "bus"),
        ("categories", ["energy"]),
        ("after_dependencies", "frontend"),
        ("dependencies", "usb"),
        ("requirements", ["serialx >=1.11.0"]),
        ("requirements", ["serialx==1.11.0"]),
    ],
)
def test_a_fault_in_the_manifest_is_found(key: str, value: Any) -> None:
    manifest = load(COMPONENT / "manifest.json")
    assert manifest_problems(changed(manifest, key, value), COMPONENT.name)


def test_what_the_manifest_promises_exists() -> None:
    manifest = load(COMPONENT / "manifest.json")
    assert manifest["config_flow"]
    assert (COMPONENT / "config_flow.py").is_file()


def test_hacs_json_has_only_what_hacs_reads() -> None:
    assert hacs_problems(load(ROOT / "hacs.json")) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", None),
        ("render", True),
        ("homeassistant", "october"),
        ("zip_release", "yes"),
    ],
)
def test_a_fault_in_hacs_json_is_found(key: str, value: Any) -> None:
    assert hacs_problems(changed(load(ROOT / "hacs.json"), key, value))


def test_the_repository_holds_one_integration_and_what_hacs_shows() -> None:
    assert [
        path.parent for path in (ROOT / "custom_components").glob("*/manifest.json")
    ] == [COMPONENT]
    assert (ROOT / "README.md").is_file()
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_english_texts_follow_hassfest() -> None:
    assert translation_problems(load(COMPONENT / "translations" / "en.json")) == []


def test_every_language_has_every_text() -> None:
    english = load(COMPONENT / "translations" / "en.json")
    for path in (COMPONENT / "translations").glob("*.json"):
        assert language_problems(load(path), english) == [], path.name


def test_the_icons_follow_hassfest() -> None:
    texts = load(COMPONENT / "translations" / "en.json")
    assert icon_problems(load(COMPONENT / "icons.json"), texts) == []


def test_good_texts_and_icons_are_left_alone() -> None:
    assert translation_problems(GOOD_TEXTS) == []
    assert language_problems(GOOD_TEXTS, GOOD_TEXTS) == []
    assert icon_problems(GOOD_ICONS, GOOD_TEXTS) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("panel", {"title": "X"}),
        ("config/step/user/title", ""),
        ("config/step/user/title", " Line"),
        ("config/step/user/title", "Line "),
        ("config/step/user/title", "<b>Line</b>"),
        ("config/step/user/title", "Line<br>"),
        ("config/step/user/title", "See https://example.org"),
        ("config/step/user/title", "The port '{port}'"),
        ("config/step/user/title", "[%key:common::port%]"),
        ("config/step/user/title", "The {port"),
        ("config/step/user/title", "The {the port}"),
        ("config/step/user/data_description/baud", "No such field"),
        ("config/step/user/data/Baud", "Upper case"),
        ("entity/sensor/soc/icon", "mdi:battery"),
        ("entity/sensor/State", {"name": "Upper case"}),
        ("exceptions/refused/title", "Not read"),
        ("issues/baud/title", None),
        ("issues/baud/description", None),
    ],
)
def test_a_fault_in_the_texts_is_found(path: str, value: Any) -> None:
    assert translation_problems(changed(GOOD_TEXTS, path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("entity/sensor/soc", None),
        ("entity/sensor/soh", {"name": "State of health"}),
        ("entity/sensor/cell/name", "Zelle"),
        ("entity/sensor/cell/name", "Zelle {nummer}"),
        ("entity/sensor/cell/name", "Zelle {number} "),
    ],
)
def test_a_fault_in_another_language_is_found(path: str, value: Any) -> None:
    assert language_problems(changed(GOOD_TEXTS, path, value), GOOD_TEXTS)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("entity/sensor/soc/default", "battery"),
        ("entity/sensor/soc/default", "mdi:Battery"),
        ("entity/sensor/soc/state/0", "mdi:battery"),
        ("entity/sensor/soc/icon", "mdi:battery"),
        ("entity/sensor/nameless", {"default": "mdi:battery"}),
        ("devices", {"a": "mdi:battery"}),
    ],
)
def test_a_fault_in_the_icons_is_found(path: str, value: Any) -> None:
    assert icon_problems(changed(GOOD_ICONS, path, value), GOOD_TEXTS)


def png_size(path: Path) -> tuple[int, int]:
    """Return width and height from a PNG's header."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n", f"{path.name} is no PNG"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("icon.png", lambda width, height: (width, height) == (256, 256)),
        ("icon@2x.png", lambda width, height: (width, height) == (512, 512)),
        ("logo.png", lambda width, height: 128 <= min(width, height) <= 256),
        ("logo@2x.png", lambda width, height: 256 <= min(width, height) <= 512),
    ],
)
def test_the_brand_images_have_the_sizes_that_home_assistant_shows(
    name: str, fits: Callable[[int, int], bool]
) -> None:
    assert fits(*png_size(COMPONENT / "brand" / name))


def test_every_brand_image_has_a_name_that_home_assistant_serves() -> None:
    served = {
        f"{dark}{kind}{size}.png"
        for dark in ("", "dark_")
        for kind in ("icon", "logo")
        for size in ("", "@2x")
    }
    assert {path.name for path in (COMPONENT / "brand").iterdir()} <= served
