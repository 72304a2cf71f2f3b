"""Names that the integration's modules share."""

from typing import Final

DOMAIN: Final = "jkbms"
MANUFACTURER: Final = "JK (Jikong)"

CONF_POLL_INTERVAL: Final = "poll_interval"
"""Option: seconds between two readings of the live values."""
CONF_ALLOW_WRITING: Final = "allow_writing"
"""Option: whether settings of the packs may be changed."""
DEFAULT_POLL_INTERVAL: Final = 5
MIN_POLL_INTERVAL: Final = 1
MAX_POLL_INTERVAL: Final = 60

SUBENTRY_BMS: Final = "bms"
CONF_SERIAL_NUMBER: Final = "serial_number"
CONF_MODEL: Final = "model"
CONF_HARDWARE_VERSION: Final = "hardware_version"
CONF_SOFTWARE_VERSION: Final = "software_version"
CONF_FEATURES: Final = "features"
