"""The entry of a CAN bus behind a gateway."""

from urllib.parse import urlsplit

from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.jkbms.const import DOMAIN
from custom_components.jkbms.mode import can_data
from custom_components.jkbms.transport.can_port import CanAdapter, CanPort
from simulator.server import Endpoint

from .common import bus_entry


def can_entry(server: Endpoint, *addresses: int) -> MockConfigEntry:
    """The entry of a CAN bus."""
    parts = urlsplit(server.url)
    port = CanPort(
        adapter=CanAdapter.CAN_TCP, host=str(parts.hostname), port=int(parts.port or 0)
    )
    entry = bus_entry(server.url, *addresses)
    return MockConfigEntry(
        domain=DOMAIN,
        title="CAN",
        data=can_data(port),
        subentries_data=[
            dict(subentry.as_dict()) for subentry in entry.subentries.values()
        ],
    )
