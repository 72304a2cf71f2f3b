"""Every language says what English says: the same texts with the same placeholders, and none left in English."""

from collections.abc import Iterator
import json
from pathlib import Path
import re
from typing import Final

import pytest

from scripts.lib.texts import ENGLISH, FOLDER, ROOT, Texts, faults, main, read

LANGUAGES: Final = {
    "en": "English",
    "de": "German",
    "fr": "French",
    "es": "Spanish",
    "nl": "Dutch",
    "pl": "Polish",
    "it": "Italian",
    "uk": "Ukrainian",
    "zh-Hans": "Simplified Chinese",
}
OTHERS: Final = sorted(
    {path.stem for path in (ROOT / FOLDER).glob("*.json")} - {ENGLISH}
)

# Names, units and what programs are called, in lower case: the same in every language. Capitals alone are abbreviations.
NAMES: Final = frozenset(
    {
        "baud",
        "bluetooth",
        "canable",
        "canalyst",
        "candlelight",
        "china",
        "deye",
        "goodwe",
        "growatt",
        "gs",
        "ion",
        "kbit",
        "kvaser",
        "li",
        "luxpower",
        "megarevo",
        "modbus",
        "pylontech",
        "robotell",
        "s",
        "seeed",
        "slcan",
        "socketcand",
        "tower",
        "usb",
        "usbtin",
        "victron",
        "voltronic",
        "waveshare",
        "weact",
    }
)
# Texts that a language writes as English does, in lower case.
SPELLED_ALIKE: Final[dict[str, frozenset[str]]] = {
    "de": frozenset(
        {
            "alarm",
            "balancing",
            "bank",
            "bus",
            "pack",
            "packs",
            "packs offline",
            "packs online",
            "port",
            "problem",
            "smart sleep",
        }
    ),
    "es": frozenset({"bus", "general", "pack", "packs"}),
    "fr": frozenset(
        {
            "absorption",
            "bulk",
            "bus",
            "charge",
            "communication",
            "important",
            "interface",
            "mode",
            "pack",
            "packs",
            "port",
            "protection",
            "protection active",
        }
    ),
    "it": frozenset({"bulk", "bus", "file", "float", "inverter"}),
    "nl": frozenset(
        {
            "alarm",
            "bank",
            "bus",
            "interface",
            "pack",
            "packs",
            "packs offline",
            "packs online",
            "protocol",
            "smart sleep",
            "time-outs",
        }
    ),
    "pl": frozenset({"alarm", "bank", "bulk", "float", "port", "problem"}),
}
# Names of inverters, adapters and protocols included.
MOST_ALIKE: Final = 0.10

_PLACEHOLDER: Final = re.compile(r"\{[^}]*\}")
_WORD: Final = re.compile(r"[^\W\d_]+")


def is_name(text: str) -> bool:
    """Tell whether a text has nothing to translate: names, units, abbreviations, numbers, placeholders."""
    words = _WORD.findall(_PLACEHOLDER.sub(" ", text))
    return all(word.casefold() in NAMES or word.isupper() for word in words)


def same(english: Texts, texts: Texts) -> Iterator[tuple[str, str]]:
    """Yield path and text of what reads as the English text does."""
    for path, text in texts.items():
        if text.casefold() == english.get(path, "").casefold():
            yield path, text


def left_in_english(english: Texts, texts: Texts, language: str) -> list[str]:
    """Name each text once that is still English, with the first of its places."""
    alike = SPELLED_ALIKE.get(language, frozenset())
    found: dict[str, str] = {}
    for path, text in same(english, texts):
        if not is_name(text) and text.casefold() not in alike:
            found.setdefault(text, path)
    return [f"{path} is English: {text}" for text, path in found.items()]


def test_every_language_that_the_readme_names_is_there_and_no_other() -> None:
    wanted = LANGUAGES.keys() - {ENGLISH}
    missing, unnamed = sorted(wanted - set(OTHERS)), sorted(set(OTHERS) - wanted)
    assert missing == [], f"translations lack {missing}"
    assert unnamed == [], f"README.md and LANGUAGES do not name {unnamed}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in LANGUAGES.values() if name not in readme] == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_the_same_texts_with_the_same_placeholders(
    language: str,
) -> None:
    found = [str(fault) for fault in faults(read(ENGLISH), read(language))]
    assert found == [], f"{language}.json:\n" + "\n".join(found)


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_left_in_english(language: str) -> None:
    found = left_in_english(read(ENGLISH), read(language), language)
    assert found == [], f"{language}.json:\n" + "\n".join(found)


@pytest.mark.parametrize("language", OTHERS)
def test_few_texts_read_as_the_english_ones(language: str) -> None:
    english = read(ENGLISH)
    alike = dict(same(english, read(language)))
    share = len(alike) / len(english)
    assert share <= MOST_ALIKE, (
        f"{share:.1%} of {language}.json is English: {sorted(set(alike.values()))}"
    )


@pytest.mark.parametrize("language", sorted(SPELLED_ALIKE))
def test_what_may_be_spelled_alike_is_an_english_text(language: str) -> None:
    english = {text.casefold() for text in read(ENGLISH).values()}
    assert SPELLED_ALIKE[language] - english == frozenset()


@pytest.mark.parametrize("language", [ENGLISH, *OTHERS])
def test_a_file_is_written_as_people_read_it(language: str) -> None:
    text = (ROOT / FOLDER / f"{language}.json").read_text(encoding="utf-8")
    tree = json.loads(text)
    assert text == json.dumps(tree, ensure_ascii=False, indent=2) + "\n"


@pytest.mark.parametrize("language", OTHERS)
def test_the_keys_are_in_the_order_of_the_english_file(language: str) -> None:
    wanted = read(ENGLISH)
    found = [path for path in read(language) if path in wanted]
    assert found == [path for path in wanted if path in set(found)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{name}", True),
        ("120 Ω", True),
        ("RS485", True),
        ("Pylontech LV, 9600 baud", True),
        ("JK RS485 Modbus", True),
        ("gs_usb (candleLight)", True),
        ("500 kbit/s", True),
        ("Packs", False),
        ("CAN gateway", False),
        ("{count} packs", False),
    ],
)
def test_names_need_no_translation(text: str, expected: bool) -> None:
    assert is_name(text) is expected


def test_a_text_left_in_english_is_named_once() -> None:
    english = {"a": "Choose another port", "b": "Choose another port", "c": "Bus"}
    assert left_in_english(english, english | {"d": "Neu"}, "de") == [
        "a is English: Choose another port"
    ]
    assert left_in_english(english, english, "xx") == [
        "a is English: Choose another port",
        "c is English: Bus",
    ]


ENGLISH_TREE: Final = {
    "config": {
        "title": "Line",
        "found": "Packs on {port}: {count}\n\n- **One**\n\n| `A` |",
    },
    "options": {"title": "Options"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with English texts."""
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "en.json").write_text(json.dumps(ENGLISH_TREE))
    return tmp_path


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (
            "Packs an {port}\n\n- **Eins**\n\n| `A` |",
            "config.found: lacks {count}",
        ),
        (
            "Packs an {anschluss}: {count}\n\n- **Eins**\n\n| `A` |",
            "config.found: lacks {port} and has no business with {anschluss}",
        ),
        (
            "Packs an {port}: {count\n\n- **Eins**\n\n| `A` |",
            "config.found: the braces do not pair (expected '}' before end of string)",
        ),
        (
            "Packs an {port}: {count}\n\n- Eins\n\n| `A` |",
            "config.found: has 0 asterisks instead of 4",
        ),
        (
            "Packs an {port}: {count}\n\n- **Eins**\n| `A` |",
            "config.found: has 3 line breaks instead of 4",
        ),
        (
            "Packs an {port}: {count}\n\n**Eins**\n\n| A |",
            "config.found: has 0 backticks instead of 2\n"
            "de: config.found: has 0 list items instead of 1",
        ),
    ],
)
def test_a_text_that_lost_something_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], found: str, says: str
) -> None:
    tree = {"config": {"title": "Leitung", "found": found}, "options": {"title": "O"}}
    (folder / FOLDER / "de.json").write_text(json.dumps(tree))
    assert main(["de"], folder) == 1
    out, err = capsys.readouterr()
    number = says.count("\n") + 1
    assert out == f"de: {says}\nde: 3 texts, {number} faults\n"
    assert err == ""


def test_missing_surplus_and_empty_texts_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = {
        "config": {
            "title": " ",
            "found": "{count} an {port}\n\n- **1**\n\n| `A` |",
            "new": "Neu",
        }
    }
    (folder / FOLDER / "de.json").write_text(json.dumps(tree))
    assert main(["de"], folder) == 1
    assert capsys.readouterr().out.splitlines() == [
        "de: config.title: is empty; English: Line",
        "de: options.title: is missing; English: Options",
        "de: config.new: is surplus: en.json does not have it",
        "de: 3 texts, 3 faults",
    ]


def test_a_language_without_fault_passes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["en"], folder) == 0
    assert capsys.readouterr().out == "en: 3 texts, 0 faults\n"


def test_a_language_that_cannot_be_read_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / FOLDER / "de.json").write_text("{")
    assert main(["xx", "de"], folder) == 2
    assert capsys.readouterr().err == (
        "xx: xx.json cannot be read\nde: de.json cannot be read\n"
    )
    assert main([], folder) == 2
    assert "usage" in capsys.readouterr().err
