"""Answers of one address that come damaged each time: two BMS give them at once."""

from dataclasses import dataclass
from typing import Final

_SHOWN_AFTER: Final = 10
"""Damaged answers in a row, on a line on which another address answers well."""
_OVER_AFTER: Final = 3
"""Whole answers in a row; one of two BMS may miss a request."""


@dataclass(slots=True)
class Garbling:
    """How the answers of one address have come of late."""

    damaged: int = 0
    whole: int = 0
    suspected: bool = False
    """Whether two BMS seem to answer at once."""

    @property
    def answers(self) -> bool:
        """Whether the last answers were whole, as far as there were any."""
        return self.whole >= _OVER_AFTER

    def was_whole(self) -> None:
        """Take note of a whole answer."""
        self.damaged = 0
        self.whole += 1
        if self.answers:
            self.suspected = False

    def was_damaged(self, *, others_answer: bool) -> None:
        """Take note of a damaged answer, and whether the line is sound elsewhere."""
        self.whole = 0
        self.damaged += 1
        if self.damaged >= _SHOWN_AFTER and others_answer:
            self.suspected = True

    def was_silent(self) -> None:
        """Take note of no answer at all."""
        self.damaged = self.whole = 0
