"""Names that the integration's modules share."""

from typing import Final

DOMAIN: Final = "jkbms"
MANUFACTURER: Final = "JK (Jikong)"

CONF_POLL_INTERVAL: Final = "poll_interval"
"""Option: seconds between two readings of the live values."""
CONF_WRITE_TIER: Final = "write_tier"
"""Option: which settings of the packs may be changed, absent: none (`tiers.WriteTier`)."""
CONF_RETURN_TO_MASTER: Final = "return_to_master"
"""Option: whether to ask again once another master has fallen silent."""
CONF_ASK_DEVICE_INFO: Final = "ask_device_info"
"""Option: whether packs that are only listened to are asked who they are."""
CONF_UPDATE_INTERVAL: Final = "update_interval"
"""Option of a CAN bus: seconds between two updates of a pack."""
CONF_ACKNOWLEDGE: Final = "acknowledge"
"""Option of a CAN bus: whether to send what an inverter does, once a second."""
CONF_INVERTER: Final = "inverter"
"""Option of a CAN bus: which bank an inverter on it is told of, and how; absent: none is."""
CONF_BANK: Final = "bank"
"""Of what an inverter is told: the entry of the bank."""
CONF_LANGUAGE: Final = "language"
CONF_CHARGE_VOLTAGE: Final = "charge_voltage"
"""The most that an inverter may be told, V; absent: as the packs are set."""
CONF_CHARGE_CURRENT: Final = "charge_current"
CONF_DISCHARGE_CURRENT: Final = "discharge_current"
CONF_CAN: Final = "can"
"""Of the entry of a CAN bus: its adapter."""
CONF_CHANNEL: Final = "channel"
"""Of a CAN adapter: its interface, port or number."""
DEFAULT_UPDATE_INTERVAL: Final = 2
DEFAULT_POLL_INTERVAL: Final = 5
MIN_POLL_INTERVAL: Final = 1
MAX_POLL_INTERVAL: Final = 60

SUBENTRY_BMS: Final = "bms"
SUBENTRY_CONTROL_LINE: Final = "control_line"
"""A second line, on which packs that are only listened to can be asked and set."""
CONF_SERIAL_NUMBER: Final = "serial_number"
CONF_MODEL: Final = "model"
CONF_HARDWARE_VERSION: Final = "hardware_version"
CONF_SOFTWARE_VERSION: Final = "software_version"
CONF_FEATURES: Final = "features"
CONF_PACKS: Final = "packs"
"""Of a control line: which BMS answers there, subentry ids by address as text.

Option of a bank: the subentry ids of its packs, absent: all of them.
"""
CONF_MIN_PACKS: Final = "min_packs"
"""Option of a bank: how many packs have to answer, absent: more than half. Of what an
inverter is told, absent: all of them.
"""
BANK_UNIQUE_ID: Final = "bank"
"""Of the first bank, so that the offer of one can be ignored for good."""
