"""Build what a release consists of: dist/jkbms.zip and dist/notes.txt.

usage: scripts/release [--tag v1.2.3]

The archive holds what is committed below custom_components/jkbms, as HACS unpacks it into
that folder. It is the same to the byte wherever and whenever it is built from one commit:
files in order, the time of the commit, nothing compressed. The version is that of
manifest.json; with a tag, as continuous integration has it, the three have to agree.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
import io
import json
from pathlib import Path
import re
import subprocess
import sys
import tarfile
import time
from typing import Final
import zipfile

ROOT: Final = Path(__file__).parents[2]
COMPONENT: Final = "custom_components/jkbms"
CHANGES: Final = "CHANGELOG.md"
UNRELEASED: Final = "Unreleased"
_HEADING: Final = re.compile(
    r"^## \[(?P<version>[^\]]+)\](?: - (?P<date>\S+))?$", re.MULTILINE
)
_VERSION: Final = re.compile(r"\d+\.\d+\.\d+(?:-(?:beta|rc)\.\d+)?")
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)
"""An archive knows no time before it."""


class ReleaseError(Exception):
    """Why there is nothing to release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What has changed in one version."""

    version: str
    date: str | None
    text: str


def sections(changes: str) -> list[Section]:
    """Return the versions of a changelog, the newest first."""
    found = list(_HEADING.finditer(changes))
    ends = [*(one.start() for one in found[1:]), len(changes)][: len(found)]
    return [
        Section(
            version=one["version"],
            date=one["date"],
            text=changes[one.end() : end].strip(),
        )
        for one, end in zip(found, ends, strict=True)
    ]


def released(changes: str, version: str, tag: str | None) -> Section:
    """Return what has changed in a version; ReleaseError where something disagrees."""
    if _VERSION.fullmatch(version) is None:
        raise ReleaseError(f"{version} in manifest.json is no version like 1.2.3")
    if tag is not None and tag != f"v{version}":
        raise ReleaseError(f"the tag is {tag}, manifest.json says {version}")
    told = sections(changes)
    if told and told[0].version == UNRELEASED:
        waiting = told.pop(0)
        if tag is not None and waiting.text:
            raise ReleaseError(f"{CHANGES} has changes that are in no version")
    if not told or told[0].version != version:
        raise ReleaseError(f"the newest version in {CHANGES} is not {version}")
    if told[0].date is None:
        raise ReleaseError(f"{version} has no date in {CHANGES}")
    return told[0]


def _git(root: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], check=True, capture_output=True
        )
    except subprocess.CalledProcessError as error:
        raise ReleaseError(error.stderr.decode().strip()) from error
    return done.stdout


def require_committed(root: Path) -> None:
    """Raise ReleaseError where something would be left out."""
    changed = _git(root, "status", "--porcelain", "--", COMPONENT, CHANGES)
    if changed:
        raise ReleaseError(f"not everything is committed:\n{changed.decode()}")


def archive(root: Path) -> bytes:
    """Return the archive of what is committed."""
    then = int(_git(root, "log", "-1", "--format=%ct"))
    stamp = max(time.gmtime(then)[:6], _EARLIEST)
    files = tarfile.open(fileobj=io.BytesIO(_git(root, "archive", f"HEAD:{COMPONENT}")))
    buffer = io.BytesIO()
    with files, zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        for member in sorted(files.getmembers(), key=lambda one: one.name):
            content = files.extractfile(member)
            if content is None:
                continue
            entry = zipfile.ZipInfo(member.name, stamp)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            packed.writestr(entry, content.read())
    return buffer.getvalue()


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Build; return 1 and say why where that is not possible."""
    parser = argparse.ArgumentParser("scripts/release", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--tag", help="what the release is tagged with")
    tag = parser.parse_args(arguments).tag
    manifest = json.loads((root / COMPONENT / "manifest.json").read_text())
    changes = (root / CHANGES).read_text(encoding="utf-8")
    try:
        section = released(changes, manifest["version"], tag)
        require_committed(root)
        content = archive(root)
    except ReleaseError as error:
        print(f"scripts/release: {error}", file=sys.stderr)
        return 1
    folder = root / "dist"
    folder.mkdir(exist_ok=True)
    (folder / "jkbms.zip").write_bytes(content)
    (folder / "notes.txt").write_text(f"{section.text}\n", encoding="utf-8")
    print(f"dist/jkbms.zip: {section.version}, {len(content)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
