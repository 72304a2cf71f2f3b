"""The words of the dashboard: the same in every language, and none left in English."""

from functools import cache
from pathlib import Path
import re

import pytest

from scripts.lib.texts import FOLDER, ROOT, placeholders

from .strategy import FOLDER as MODULES, Home

LANGUAGES = sorted(path.stem for path in (ROOT / FOLDER).glob("*.json"))
ALIKE = {"Packs"}
"""What some languages write as English does."""


@cache
def words(*codes: str) -> dict[str, dict[str, str]]:
    """The words by language."""
    answer = Home(packs=[]).ask("texts", codes=codes)
    found: dict[str, dict[str, str]] = answer["result"]
    return found


def test_there_are_the_languages_of_the_integration() -> None:
    assert sorted(words()) == LANGUAGES


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != "en"])
def test_a_language_has_every_text_in_its_own_words(language: str) -> None:
    found = words()
    english, other = found["en"], found[language]
    assert list(other) == list(english)
    for key, text in other.items():
        assert text.strip() == text != ""
        assert placeholders(text) == placeholders(english[key])
        assert re.findall(r"\(/\S+\)", text) == re.findall(r"\(/\S+\)", english[key])
        assert text != english[key] or text in ALIKE


@pytest.mark.parametrize(
    ("code", "language"),
    [
        ("de-CH", "de"),
        ("en-GB", "en"),
        ("es-419", "es"),
        ("zh-Hant", "zh-Hans"),
        ("pt-BR", "en"),
        ("", "en"),
    ],
)
def test_a_variant_has_the_words_of_its_language(code: str, language: str) -> None:
    found = words(code)
    assert found[code] == found[language]


def test_every_word_is_used_and_every_used_word_is_there() -> None:
    code = "".join(
        path.read_text(encoding="utf-8")
        for path in Path(MODULES).glob("*.js")
        if path.name != "texts.js"
    )
    used = set(re.findall(r"\bwords\.(\w+)", code)) | {"description"}
    assert used == set(words()["en"])


def test_the_names_of_menus_are_those_of_the_integration() -> None:
    texts = (ROOT / FOLDER / "de.json").read_text(encoding="utf-8")
    named = re.search(r"\*(.+?)\*", words()["de"]["locked"])
    assert named is not None
    assert f'"{named[1]}"' in texts
