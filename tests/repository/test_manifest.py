"""What hassfest and HACS would say about the integration's files."""

import json
from pathlib import Path
import shutil
from typing import Any, Final

import probatio
import pytest

from scripts.lib.validate import (
    COMPONENT as FOLDER,
    ROOT,
    constraints,
    judge,
    load,
    main,
    png_size,
    used_integrations,
)
from scripts.lib.validate_rules import (
    brand_problems,
    hacs_problems,
    import_problems,
    manifest_problems,
    marketplace_problems,
    requirement_problems,
)
from scripts.lib.validate_texts import (
    icon_name_problems,
    icon_problems,
    service_problems,
    translation_problems,
)

COMPONENT: Final = ROOT / FOLDER

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
        ("after_dependencies", "recorder"),
        ("dhcp", []),
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


def test_the_icons_follow_hassfest() -> None:
    texts = load(COMPONENT / "translations" / "en.json")
    assert icon_problems(load(COMPONENT / "icons.json"), texts) == []


def test_good_texts_and_icons_are_left_alone() -> None:
    assert translation_problems(GOOD_TEXTS) == []
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


@pytest.mark.parametrize(
    ("requirement", "says"),
    [
        ("serialx>=99.0", "cannot be met"),
        ("pyserial<3.5", "cannot be met"),
        ("serialx>>1", "cannot be read"),
    ],
)
def test_a_requirement_that_home_assistant_forbids_is_found(
    requirement: str, says: str
) -> None:
    known = {"serialx": "==1.11.0", "pyserial": "==3.5"}
    (problem,) = requirement_problems([requirement], known)
    assert says in problem
    assert requirement_problems(["serialx>=1.11.0", "unheard-of>=1"], known) == []


def test_home_assistant_s_own_versions_are_known() -> None:
    known = constraints()
    assert known["serialx"].startswith("==")
    assert known["sqlalchemy"].startswith("==")


def test_an_integration_that_is_used_and_not_named_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "from homeassistant.components.recorder import statistics\n"
        "from homeassistant.components import mqtt, sensor\n"
        "import homeassistant.components.logbook.const\n"
        "from .components import nothing\n"
    )
    (tmp_path / "logbook.py").write_text("x = 1\n")
    used = used_integrations(tmp_path)
    assert used == {"a.py": {"recorder", "mqtt", "sensor", "logbook"}}
    used["logbook.py"] = {"logbook"}
    problems = import_problems(used, {"after_dependencies": ["mqtt"]})
    assert problems == [
        "a.py uses the integration recorder, which the manifest does not name"
    ]


MARKETPLACE: Final = {
    "name": probatio.Schema(str),
    "zip_release": probatio.Schema(bool),
    "filename": probatio.Schema(str),
}
"""What the Marketplace reads hacs.json with, where it is not installed."""


@pytest.mark.parametrize(
    ("hacs", "says"),
    [
        ({"name": "x", "country": "DE"}, "country is not read"),
        ({"name": 1}, "name is left out"),
        ({"zip_release": True}, "needs the filename"),
        ({"zip_release": True, "filename": "x.tar"}, "needs the filename"),
    ],
)
def test_what_the_marketplace_leaves_out_is_found(
    hacs: dict[str, Any], says: str
) -> None:
    (problem,) = marketplace_problems(hacs, MARKETPLACE)
    assert says in problem
    good = {"name": "x", "zip_release": True, "filename": "x.zip"}
    assert marketplace_problems(good, MARKETPLACE) == []


def test_an_icon_that_the_frontend_does_not_have_is_found() -> None:
    (problem,) = icon_name_problems(GOOD_ICONS, frozenset({"battery"}))
    assert problem == (
        "entity.sensor.soc.state.0: mdi:battery-outline is no icon of the frontend"
    )


GOOD_SERVICES: Final[dict[str, Any]] = {"record": {"fields": {"time": {}}}}
SERVICE_TEXTS: Final[dict[str, Any]] = {
    "services": {
        "record": {
            "name": "Record",
            "description": "Records.",
            "fields": {"time": {"name": "Time", "description": "How long."}},
        }
    }
}
SERVICE_ICONS: Final[dict[str, Any]] = {"services": {"record": {"service": "mdi:x"}}}


def test_good_services_are_left_alone() -> None:
    assert service_problems(GOOD_SERVICES, SERVICE_TEXTS, SERVICE_ICONS) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("services/record/fields/time", None),
        ("services/record/fields/speed", {"name": "x", "description": "x"}),
        ("services/record/fields/time/name", None),
        ("services/record/fields/time/description", None),
        ("services/record/name", None),
        ("services/record/description", None),
        ("services/record", None),
        ("services/play", {"name": "Play", "description": "Plays."}),
    ],
)
def test_a_fault_in_the_texts_of_a_service_is_found(path: str, value: Any) -> None:
    texts = changed(SERVICE_TEXTS, path, value)
    assert service_problems(GOOD_SERVICES, texts, SERVICE_ICONS)


@pytest.mark.parametrize("path", ["services/record", "services/play"])
def test_a_service_without_icon_and_an_icon_without_service_are_found(
    path: str,
) -> None:
    value = None if path.endswith("record") else {"service": "mdi:x"}
    icons = changed(SERVICE_ICONS, path, value)
    assert service_problems(GOOD_SERVICES, SERVICE_TEXTS, icons)


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ({}, "brand/icon.png is missing"),
        ({"icon.png": (255, 255)}, "brand/icon.png is 255 x 255"),
        ({"icon.png": (256, 300)}, "brand/icon.png is no square"),
        ({"logo.png": (900, 300)}, "brand/logo.png is 900 x 300"),
        ({"picture.png": (256, 256)}, "brand/picture.png is served by nobody"),
    ],
)
def test_a_brand_image_that_does_not_fit_is_found(
    sizes: dict[str, tuple[int, int]], says: str
) -> None:
    assert says in brand_problems(sizes)
    good = {"icon.png": (256, 256), "icon@2x.png": (512, 512), "logo.png": (900, 256)}
    assert brand_problems(good) == []


def test_a_file_that_is_no_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "icon.png").write_bytes(b"GIF89a")
    with pytest.raises(ValueError, match=r"icon\.png is no PNG"):
        png_size(tmp_path / "icon.png")


def test_the_repository_passes_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(judge()) == []
    assert main() == 0
    assert capsys.readouterr().out == ""


def test_each_file_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(COMPONENT, tmp_path / FOLDER)
    shutil.copy(ROOT / "hacs.json", tmp_path)
    copy = tmp_path / FOLDER
    for path, key, value in (
        (copy / "manifest.json", "iot_class", "wireless"),
        (copy / "icons.json", "devices", {}),
        (copy / "translations" / "en.json", "panel", "X"),
        (copy / "translations" / "de.json", "surplus", "X"),
        (tmp_path / "hacs.json", "render", True),
    ):
        path.write_text(json.dumps(changed(load(path), key, value)))
    (copy / "brand" / "icon.png").unlink()
    (copy / "services.yaml").write_text("play:\n")
    assert main(tmp_path) == 1
    named = {line.partition(":")[0] for line in capsys.readouterr().out.splitlines()}
    assert named >= {
        "manifest.json",
        "hacs.json",
        "services.yaml",
        "brand",
        "en.json",
        "de.json",
        "icons.json",
    }
