"""What a CAN bus is reached through, as a configuration entry keeps it."""

import json
from typing import Any

import pytest

from custom_components.jkbms.transport.can_port import (
    TRAITS,
    CanAdapter,
    CanPort,
    Channel,
)

NAMES: dict[CanAdapter, tuple[dict[str, Any], str]] = {
    CanAdapter.SOCKETCAN: ({"channel": "can0"}, "socketcan:can0"),
    CanAdapter.SLCAN: (
        {"channel": "/dev/ttyACM0", "bitrate": 500_000},
        "slcan:/dev/ttyACM0",
    ),
    CanAdapter.GS_USB: ({"channel": "0", "bitrate": 250_000}, "gs_usb:0"),
    CanAdapter.SOCKETCAND: (
        {"channel": "can0", "host": "10.0.0.2", "port": 29536},
        "socketcand://10.0.0.2:29536/can0",
    ),
    CanAdapter.SEEEDSTUDIO: ({"channel": "/dev/ttyUSB0"}, "seeedstudio:/dev/ttyUSB0"),
    CanAdapter.CANALYSTII: ({"channel": "1"}, "canalystii:1"),
    CanAdapter.ROBOTELL: ({"channel": "/dev/ttyUSB0"}, "robotell:/dev/ttyUSB0"),
    CanAdapter.SERIAL: ({"channel": "/dev/ttyUSB0"}, "serial:/dev/ttyUSB0"),
    CanAdapter.PCAN: ({"channel": "PCAN_USBBUS1"}, "pcan:PCAN_USBBUS1"),
    CanAdapter.KVASER: ({"channel": "0", "listen_only": True}, "kvaser:0"),
    CanAdapter.CAN_TCP: (
        {"host": "fe80::1", "port": 20001, "acknowledge": True},
        "can_tcp://[fe80::1]:20001",
    ),
}


@pytest.mark.parametrize("adapter", CanAdapter)
def test_a_port_survives_its_configuration_entry(adapter: CanAdapter) -> None:
    fields, name = NAMES[adapter]
    port = CanPort(adapter=adapter, **fields)
    data = json.loads(json.dumps(port.dump()))
    assert data == {"adapter": adapter.value} | fields
    assert CanPort.load(data | {"something": "else"}) == port
    assert port.name == name
    assert port.traits is TRAITS[adapter]


def test_numbers_may_come_as_forms_have_them() -> None:
    port = CanPort.load(
        {"adapter": "can_tcp", "host": "gateway", "port": 20001.0, "bitrate": None}
    )
    assert port.port == 20001
    assert isinstance(port.port, int)


def test_the_name_is_the_same_for_every_way_of_taking_part() -> None:
    ways: list[dict[str, Any]] = [{}, {"bitrate": 250_000}, {"listen_only": True}]
    names = {
        CanPort(adapter=CanAdapter.SLCAN, channel="/dev/ttyACM0", **way).name
        for way in ways
    }
    assert len(names) == 1


def test_what_is_reached_over_a_network_is_known() -> None:
    url = CanPort(adapter=CanAdapter.SLCAN, channel="socket://a:1", bitrate=500_000)
    assert url.over_network
    assert CanPort(adapter=CanAdapter.CAN_TCP, host="a", port=1).over_network
    assert not CanPort(adapter=CanAdapter.SOCKETCAN, channel="can0").over_network


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"adapter": "unheard_of", "channel": "can0"},
        {"adapter": "socketcan"},
        {"adapter": "socketcan", "channel": ""},
        {"adapter": "socketcan", "channel": "can0", "bitrate": 500_000},
        {"adapter": "socketcan", "channel": "can0", "host": "a", "port": 1},
        {"adapter": "socketcan", "channel": "can0", "listen_only": True},
        {"adapter": "slcan", "channel": "/dev/ttyACM0", "bitrate": 125_000},
        {
            "adapter": "slcan",
            "channel": "/dev/ttyACM0",
            "listen_only": True,
            "acknowledge": True,
        },
        {"adapter": "seeedstudio", "channel": "socket://a:1"},
        {"adapter": "gs_usb", "channel": "can0"},
        {"adapter": "socketcand", "channel": "can0", "host": "a"},
        {"adapter": "socketcand", "host": "a", "port": 29536},
        {"adapter": "can_tcp", "channel": "can0", "host": "a", "port": 1},
        {"adapter": "can_tcp", "host": "a", "port": 70_000},
        {"adapter": "can_tcp", "host": "a", "port": "many"},
    ],
    ids=str,
)
def test_what_cannot_be_opened_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        CanPort.load(data)


def test_every_adapter_is_described() -> None:
    assert set(TRAITS) == set(CanAdapter) == set(NAMES)
    for traits in TRAITS.values():
        assert traits.channel is not None or traits.network
        assert not traits.url or traits.channel is Channel.DEVICE
