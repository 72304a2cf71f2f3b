"""A release is built from what is committed, the same everywhere, and only if all say the same version."""

import io
import json
from pathlib import Path
import re
import subprocess
from typing import Final
import zipfile

from homeassistant.core import HomeAssistant
from homeassistant.loader import Integration
import pytest

from scripts.lib.release import (
    CHANGES,
    COMPONENT,
    ROOT,
    UNRELEASED,
    ReleaseError,
    archive,
    main,
    released,
    sections,
)

LOG: Final = """# Changes

## [Unreleased]

## [1.2.0] - 2026-11-21

### Added

- Something.

## [1.1.0] - 2026-10-01

The first one.
"""


def git(root: Path, *arguments: str) -> None:
    """Call git."""
    subprocess.run(
        [
            "git",
            "-C",
            str(root),
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@example.org",
            *arguments,
        ],
        check=True,
        capture_output=True,
        env={
            "PATH": "/usr/bin:/bin:/usr/local/bin:/opt/homebrew/bin",
            "GIT_COMMITTER_DATE": "2026-11-21T08:00:00Z",
            "GIT_AUTHOR_DATE": "2026-11-21T08:00:00Z",
        },
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with something to release."""
    component = tmp_path / COMPONENT
    (component / "frontend").mkdir(parents=True)
    (component / "manifest.json").write_text('{"version": "1.2.0"}')
    (component / "__init__.py").write_text("pass\n")
    (component / "frontend" / "dashboard.js").write_text("1;\n")
    (tmp_path / CHANGES).write_text(LOG)
    (tmp_path / "README.md").write_text("x")
    (tmp_path / ".gitignore").write_text("__pycache__/\n/dist/\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "x")
    return tmp_path


def test_the_archive_holds_what_home_assistant_loads(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / COMPONENT / "__pycache__").mkdir()
    (repository / COMPONENT / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert main(["--tag", "v1.2.0"], repository) == 0
    assert "1.2.0" in capsys.readouterr().out
    with zipfile.ZipFile(repository / "dist" / "jkbms.zip") as packed:
        assert packed.namelist() == [
            "__init__.py",
            "frontend/dashboard.js",
            "manifest.json",
        ]
        assert packed.testzip() is None
        assert json.loads(packed.read("manifest.json")) == {"version": "1.2.0"}
        assert {one.date_time for one in packed.infolist()} == {(2026, 11, 21, 8, 0, 0)}
    notes = (repository / "dist" / "notes.txt").read_text()
    assert notes == "### Added\n\n- Something.\n"


def test_the_archive_is_the_same_wherever_it_is_built(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    git(other, "clone", "-q", str(repository), "clone")
    (other / "clone" / COMPONENT / "__init__.py").touch()
    assert archive(repository) == archive(other / "clone")


def test_what_is_not_committed_is_not_released(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / COMPONENT / "new.py").write_text("x")
    assert main([], repository) == 1
    assert "not everything is committed" in capsys.readouterr().err
    assert not (repository / "dist").exists()


def test_a_folder_that_is_no_repository_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / COMPONENT).mkdir(parents=True)
    (tmp_path / COMPONENT / "manifest.json").write_text('{"version": "1.2.0"}')
    (tmp_path / CHANGES).write_text(LOG)
    assert main([], tmp_path) == 1
    assert "not a git repository" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("version", "tag", "log", "says"),
    [
        ("1.2", None, LOG, "no version like"),
        ("1.2.0", "v1.2.1", LOG, "the tag is v1.2.1"),
        ("1.2.0", "1.2.0", LOG, "the tag is 1.2.0"),
        ("1.3.0", "v1.3.0", LOG, "is not 1.3.0"),
        ("1.2.0", None, "# Changes\n", "is not 1.2.0"),
        ("1.2.0", None, LOG.replace(" - 2026-11-21", ""), "has no date"),
        (
            "1.2.0",
            "v1.2.0",
            LOG.replace("[Unreleased]\n", "[Unreleased]\n\n- More.\n"),
            "in no version",
        ),
    ],
)
def test_a_release_whose_parts_disagree_is_refused(
    version: str, tag: str | None, log: str, says: str
) -> None:
    with pytest.raises(ReleaseError, match=re.escape(says)):
        released(log, version, tag)


def test_changes_that_wait_stop_no_trial() -> None:
    waiting = LOG.replace("[Unreleased]\n", "[Unreleased]\n\n- More.\n")
    assert released(waiting, "1.2.0", None).text.endswith("- Something.")


def test_the_changelog_of_this_repository_begins_with_its_version() -> None:
    version = json.loads((ROOT / COMPONENT / "manifest.json").read_text())["version"]
    told = sections((ROOT / CHANGES).read_text(encoding="utf-8"))
    versions = [one.version for one in told if one.version != UNRELEASED]
    assert versions[0] == version
    assert versions == sorted(versions, key=lambda one: one.split("."), reverse=True)
    assert released((ROOT / CHANGES).read_text(encoding="utf-8"), version, None).text


def test_the_version_stands_in_the_manifest_alone() -> None:
    version = json.loads((ROOT / COMPONENT / "manifest.json").read_text())["version"]
    quoted = f'"{version}"'
    files = subprocess.run(
        ["git", "-C", str(ROOT), "grep", "-lF", quoted, "--", "*.py", "*.json", "*.js"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    assert [one for one in files if not one.startswith("tests/captures/")] == [
        f"{COMPONENT}/manifest.json"
    ]


def test_hacs_is_told_which_file_to_install() -> None:
    hacs = json.loads((ROOT / "hacs.json").read_text())
    assert hacs["zip_release"]
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert f"dist/{hacs['filename']}" in workflow
    # Without a release there is nothing to install.
    assert hacs["hide_default_branch"]


def test_home_assistant_loads_what_was_unpacked(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    with zipfile.ZipFile(io.BytesIO(archive(ROOT))) as packed:
        packed.extractall(tmp_path / "jkbms")
    manifest = json.loads((tmp_path / "jkbms" / "manifest.json").read_text())
    folder = tmp_path / "jkbms"
    files = {path.name for path in folder.iterdir()}
    integration = Integration(hass, "custom_components.jkbms", folder, manifest, files)
    assert integration.domain == "jkbms"
    assert integration.has_branding
    assert integration.has_services
    assert integration.version is not None
