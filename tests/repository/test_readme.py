"""What the texts promise: commands that run, links that lead somewhere, citations that can be looked up."""

from collections.abc import Iterator
import os
from pathlib import Path
import re
from typing import Final

import pytest

from custom_components.jkbms.protocol.frames import crc16

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
TEXTS: Final = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md")))

_COMMAND: Final = re.compile(r"\bscripts/([a-z_]+)\b(?!/)")
# Links, pictures, and pictures for light and dark.
_LINK: Final = re.compile(
    r"\]\(([^)\s]+)\)|<(?:img|source)[^>]*?\b(?:src|srcset)=\"([^\"]+)\""
)
_PICTURE: Final = re.compile(r"!\[([^\]]*)\]\(|<img(?![^>]*\balt=\"[^\"]+\")")
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_NUMBERED: Final = re.compile(r"^#+ (\d+(?:\.\d+)?)\.? ", re.MULTILINE)
_DOCUMENT: Final = re.compile(r"\b([\w-]+)\.md\b")
# "rs485.md 2.1, 2.8, 3.1", "rs485.md 2.5 to 2.7", "rs485.md 8, quirks 19, 21"
_CITATION: Final = re.compile(
    r"\b([a-z0-9]+)\.md\s+(\d+(?:\.\d+)?(?:(?:, (?:quirks? |example )?| to | and )\d+(?:\.\d+)?)*)"
)
_ROW: Final = re.compile(r"^\| (\d+) \|", re.MULTILINE)
_ROWS_OF: Final = {"quirk": "8", "example": "9"}


def sources() -> Iterator[Path]:
    """Yield every file that may cite."""
    for folder in ("custom_components", "simulator", "scripts", "tests", "docs"):
        for path in sorted((ROOT / folder).rglob("*")):
            readable = path.suffix in {".py", ".md", ".sh", ".yaml"}
            command = path.parent == ROOT / "scripts" and path.is_file()
            if readable or command:
                yield path


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub makes of a text's headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }


def sections(text: str) -> set[str]:
    """Return the numbers of a document's sections."""
    return set(_NUMBERED.findall(text))


def rows(text: str, section: str) -> set[str]:
    """Return the numbers of the rows in the table of a section."""
    parts = re.split(r"^## ", text, flags=re.MULTILINE)
    return {
        number
        for part in parts
        if part.startswith(f"{section}. ")
        for number in _ROW.findall(part)
    }


def citations(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield document, kind and number of everything that is cited."""
    for document, numbers in _CITATION.findall(text):
        kind = "section"
        for word, number in re.findall(
            r"(quirk|example)?s?\s?(\d+(?:\.\d+)?)", numbers
        ):
            kind = word or kind
            yield document, kind, number


def unresolved(text: str) -> Iterator[str]:
    """Yield what a text cites and no document has."""
    for document, kind, number in citations(text):
        path = DOCS / f"{document}.md"
        known = path.read_text() if path.is_file() else ""
        found = sections(known) if kind == "section" else rows(known, _ROWS_OF[kind])
        if number not in found:
            yield f"{document}.md {kind} {number}"


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_every_command_that_is_named_can_be_run(text: Path) -> None:
    for name in set(_COMMAND.findall(text.read_text())) - {"lib"}:
        path = ROOT / "scripts" / name
        assert path.is_file(), f"{text.name} names scripts/{name}"
        assert os.access(path, os.X_OK), f"scripts/{name} is not executable"


def test_the_readme_names_the_two_commands_that_do_everything() -> None:
    assert {"demo", "test"} <= set(_COMMAND.findall((ROOT / "README.md").read_text()))


def links(text: str) -> list[str]:
    """Return where a text leads to, pictures included."""
    return [here or there for here, there in _LINK.findall(text)]


def test_links_and_pictures_are_found() -> None:
    text = (
        '[a](b.md) ![c](d.png) <img alt="x" src="e.png">\n'
        '<picture><source media="(prefers-color-scheme: dark)" srcset="f.png"></picture>'
    )
    assert links(text) == ["b.md", "d.png", "e.png", "f.png"]
    assert list(_PICTURE.finditer("![](d.png)"))[0][1] == ""
    assert _PICTURE.search('<img src="e.png">')


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_every_picture_says_what_it_shows(text: Path) -> None:
    # Who cannot see it hears that instead.
    assert [
        found[0] for found in _PICTURE.finditer(text.read_text()) if not found[1]
    ] == []


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(text: Path) -> None:
    for link in links(text.read_text()):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = text.parent / name if name else text
        assert target.exists(), f"{text.name} links to {link}"
        if anchor:
            assert anchor in anchors(target.read_text()), f"{text.name}: {link}"


def test_every_citation_has_its_section() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} cites {what}"
        for path in sources()
        if path != Path(__file__)
        for what in unresolved(path.read_text())
    ]
    assert wrong == []


def test_every_document_that_is_named_exists() -> None:
    here = {path.stem for path in TEXTS}
    wrong = {
        f"{path.relative_to(ROOT)} names {name}.md"
        for path in sources()
        if path != Path(__file__) and path.suffix == ".py"
        for name in _DOCUMENT.findall(path.read_text())
        if name not in here
    }
    # A source of captures is a file of another repository.
    assert {line for line in wrong if "JKBMS-PB" not in line} == set()


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("(rs485.md 2.6)", []),
        ("(rs485.md 2.1, 2.8, 3.1)", []),
        ("(rs485.md 2.5 to 2.7, 7)", []),
        ("(rs485.md 8, quirks 19, 21)", []),
        ("(rs485.md 2.9, example 19)", []),
        ("(rs485.md\n    2.99)", ["rs485.md section 2.99"]),
        ("(rs485.md 8, quirk 99)", ["rs485.md quirk 99"]),
        ("(nothing.md 1)", ["nothing.md section 1"]),
    ],
)
def test_a_citation_of_nothing_is_noticed(text: str, missing: list[str]) -> None:
    assert list(unresolved(text)) == missing


def test_the_examples_of_the_protocol_have_right_checksums() -> None:
    text = (DOCS / "rs485.md").read_text()
    examples = [
        bytes.fromhex(found)
        for found in re.findall(r"`((?:[0-9A-F]{2} ){5,}[0-9A-F]{2})`", text)
        if "XX" not in found
    ]
    assert len(examples) > 20
    for message in examples:
        assert crc16(message) == 0, message.hex(" ")
