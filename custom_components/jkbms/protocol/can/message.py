"""One CAN message, as whatever receives it hands it over."""

from typing import NamedTuple


class CanMessage(NamedTuple):
    """A data frame; remote and error frames never become one."""

    id: int
    data: bytes
    extended: bool
    """Whether the id has 29 bits instead of 11."""
