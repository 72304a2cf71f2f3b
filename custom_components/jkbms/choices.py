"""What can be done next about each finding on a line, in the order of the menus."""

from typing import Final

from .protocol.survey import Finding

CHOICES: Final = {
    "known_line": ("listen", "follow", "port"),
    "confirm_scan": ("scan", "listen", "follow", "port"),
    Finding.SILENCE: ("scan", "follow", "port"),
    Finding.FOREIGN_MASTER: ("follow", "listen", "port", "overrule"),
    "overrule": ("scan", "follow", "port"),
    Finding.NOISE: ("listen", "scan", "port"),
    Finding.LEGACY_PROTOCOL: ("listen", "scan", "port"),
    "older_protocol": ("take_older", "scan", "port"),
    Finding.CUT_FRAMES: ("listen", "scan", "port"),
    Finding.MODBUS_TCP: ("scan", "port"),
    "strangers": ("scan", "port"),
    "address_0": ("scan", "port"),
}
"""What can be done about each finding. The names are steps of the flow."""
NEVER_ANYWAY: Final = (
    "known_line",
    "confirm_scan",
    "older_protocol",
    Finding.FOREIGN_MASTER,
)
"""A line is asked before it is taken; and asking where another master asks takes a warning."""
