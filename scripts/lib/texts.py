"""What is wrong with the texts of a language, held against the English ones.

usage: .venv/bin/python -m scripts.lib.texts LANGUAGE...      (de, zh-Hans …)

Lists missing, surplus and empty texts, and those whose placeholders or Markdown differ; exit code 1 when there are any.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import json
from pathlib import Path
import re
from string import Formatter
import sys
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = Path("custom_components/jkbms/translations")
ENGLISH: Final = "en"

# What the eye sees at once when it is lost: lines, emphasis, code, tables, lists.
_MARKUP: Final = {
    "line breaks": re.compile(r"\n"),
    "asterisks": re.compile(r"\*"),
    "backticks": re.compile(r"`"),
    "table bars": re.compile(r"\|"),
    "list items": re.compile(r"^- ", re.MULTILINE),
}

type Texts = dict[str, str]
"""Texts by their key path, such as "config.step.user.title"."""


def flat(tree: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield key path and text of every text of a translation file."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def read(language: str, root: Path = ROOT) -> Texts:
    """Return the texts of a language; OSError when it has no file, ValueError when that is no JSON."""
    path = root / FOLDER / f"{language}.json"
    return dict(flat(json.loads(path.read_text(encoding="utf-8"))))


def placeholders(text: str) -> frozenset[str]:
    """Return the names between braces; ValueError when the braces do not pair."""
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One text that does not do what the English one does."""

    path: str
    says: str

    def __str__(self) -> str:
        """Write it as one line."""
        return f"{self.path}: {self.says}"


def _placeholder_fault(english: str, text: str) -> str | None:
    try:
        found = placeholders(text)
    except ValueError as error:
        return f"the braces do not pair ({error})"
    wanted = placeholders(english)
    parts = (
        ("lacks", wanted - found),
        ("has no business with", found - wanted),
    )
    told = [
        f"{what} {', '.join(f'{{{name}}}' for name in sorted(names))}"
        for what, names in parts
        if names
    ]
    return " and ".join(told) or None


def _markup_faults(english: str, text: str) -> Iterator[str]:
    for what, pattern in _MARKUP.items():
        wanted, found = len(pattern.findall(english)), len(pattern.findall(text))
        if wanted != found:
            yield f"has {found} {what} instead of {wanted}"


def faults(english: Texts, texts: Texts) -> Iterator[Fault]:
    """Yield what is missing, surplus, empty or differs in placeholders or Markdown, in the order of the English file."""
    for path, wanted in english.items():
        if path not in texts:
            yield Fault(path=path, says=f"is missing; English: {wanted}")
            continue
        text = texts[path]
        if not text.strip():
            yield Fault(path=path, says=f"is empty; English: {wanted}")
            continue
        if says := _placeholder_fault(wanted, text):
            yield Fault(path=path, says=says)
        for says in _markup_faults(wanted, text):
            yield Fault(path=path, says=says)
    for path in texts:
        if path not in english:
            yield Fault(path=path, says="is surplus: en.json does not have it")


def main(languages: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """List the faults of the languages; return the exit code."""
    wanted = sys.argv[1:] if languages is None else languages
    if not wanted:
        print("usage: python -m scripts.lib.texts LANGUAGE...", file=sys.stderr)
        return 2
    english = read(ENGLISH, root)
    code = 0
    for language in wanted:
        try:
            found = list(faults(english, read(language, root)))
        except OSError, ValueError:
            print(f"{language}: {language}.json cannot be read", file=sys.stderr)
            code = 2
            continue
        for fault in found:
            print(f"{language}: {fault}")
        print(f"{language}: {len(english)} texts, {len(found)} faults")
        code = code or bool(found)
    return code


if __name__ == "__main__":
    sys.exit(main())
