"""Files that are none, or that somebody has made to do harm."""

from contextlib import suppress
import json
from pathlib import Path
from typing import Any, Final

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.jkbms.protocol.recording import of_diagnostics, pieces
from scripts.lib.decode import PROTOCOLS, main
from simulator.replay import ReplayLine, load_capture

_LINES: Final = st.sampled_from(
    (
        *("(1.5) in 55AAEB90", "(1.5) out 0110162000010200", "# x", "(1.0) in 4E57"),
        *("(1.0) can0 351#00", f"({'9' * 400}.0) in 00", "(1.0) in ٣٣", "(1.5) in 0"),
    )
)
_JSON: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | _LINES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("data", "recorded", "control_lines", "x")),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
_TEXTS: Final = st.one_of(
    _JSON.map(json.dumps), st.lists(_LINES | st.text(), max_size=5).map("\n".join)
)
DEEP: Final = ("[" * 100_000, '{"data":' * 50_000, '{"x":[' * 50_000)
HUGE: Final = ("9" * 5000, '{"data": ' + "9" * 5000 + "}", "\ufeff", "\x00")


def tried(path: Path, content: bytes) -> None:
    """What a file holds is shown or refused in words, and so it is played."""
    path.write_bytes(content)
    for protocol in PROTOCOLS:
        # What is no file of this kind ends with a sentence, as a wrong option does.
        with suppress(SystemExit):
            main(["--protocol", protocol, str(path)])
    with suppress(ValueError):
        ReplayLine(load_capture(str(path)))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that anything may be in."""
    return tmp_path_factory.mktemp("files") / "file"


@settings(max_examples=60)
@given(_TEXTS | st.binary())
def test_any_file_is_shown_or_refused_in_words(
    file: Path, content: str | bytes
) -> None:
    as_bytes = (
        content if isinstance(content, bytes) else content.encode("utf-8", "replace")
    )
    tried(file, as_bytes)


def test_what_is_nested_or_long_beyond_reason_is_refused_too(file: Path) -> None:
    for content in (*DEEP, *HUGE):
        tried(file, content.encode())


@settings(max_examples=60)
@given(_TEXTS)
def test_what_diagnostics_hold_is_lines_or_nothing(text: str) -> None:
    for lines in (of_diagnostics(text) or {}).values():
        assert all(isinstance(line, str) for line in lines)
        with suppress(ValueError):
            assert all(piece.time < 1e12 for piece in pieces(lines))
