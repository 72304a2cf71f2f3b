"""What a BMS calls itself is shown, and never taken for anything but a name."""

from typing import Final

_MEANT: Final = frozenset('<>[]{}|\\`*&!~$^"')
"""What HTML, Markdown, its tables and templates would take for theirs."""
_LONGEST: Final = 60


def plain(text: str) -> str:
    """Return the text of a stranger without what could pass for more than text.

    Anybody within reach may advertise a pack of any name, and whoever is on the line can
    say that they have any serial number. What turns the direction of writing, ends a line
    or has no shape is not printable.
    """
    kept = (c for c in text if c.isprintable() and c not in _MEANT)
    return "".join(kept).replace("://", " ").strip()[:_LONGEST]
