"""What Home Assistant complains of."""

from collections.abc import Iterator
import re
from typing import Final

from .ha_home import DOMAIN

_RECORD: Final = re.compile(r"^(?=\d{4}-\d\d-\d\d \d\d:)", re.MULTILINE)
_COMPLAINT: Final = re.compile(r"\S+ \S+ (WARNING|ERROR|CRITICAL|FATAL) ")
_EXPECTED: Final = re.compile(
    r"We found a custom integration \w+ which has not been tested"
)
"""Home Assistant says so of every custom integration."""


def complaints(text: str) -> Iterator[str]:
    """Yield the warnings, errors and tracebacks of a log, whoever they are from.

    Every record starts with a time; a traceback is part of its record.
    """
    for record in _RECORD.split(text):
        complains = _COMPLAINT.match(record) or "Traceback" in record
        if complains and not _EXPECTED.search(record):
            yield record.strip()


def is_ours(complaint: str) -> bool:
    """Tell whether a complaint names the integration or one of its libraries."""
    return any(name in complaint for name in (DOMAIN, "serialx", "pymodbus", "[can"))
