"""The decoder for JK's frames of aiobmsble (PyPI), which others use over Bluetooth."""

# ruff: noqa: SLF001 -- without Bluetooth there is no public way to its decoder

from collections.abc import Coroutine, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

PACKAGE: Final = "aiobmsble"


class Peer:
    """It, fed with whole frames: no Bluetooth is near."""

    def __init__(self, software_version: int) -> None:
        """Make one that knows the major software version, as from the device info."""
        base = import_module(f"{PACKAGE}.basebms")
        device = import_module("bleak.backends.device").BLEDevice(
            "", "pack", {"path": "", "props": {}}
        )
        self._bms: Any = import_module(f"{PACKAGE}.bms.jikong_bms").BMS(device)
        self._bms._sw_version = software_version
        self._bms._prot_offset = -32 if software_version < 11 else 0
        self._check: Any = base.crc_sum

    def decode(self, frame: bytes) -> Mapping[str, Any]:
        """Return what a live frame says; raises ValueError where its sum is wrong."""
        bms = self._bms
        if not bms._check_integrity(
            frame, self._check, slice(None, -1), slice(-1, None)
        ):
            raise ValueError("the sum does not fit")
        bms._msg = frame
        bms._msg_event.set()
        return _at_once(bms._async_update())

    def complete(self, frame: bytes) -> Mapping[str, Any]:
        """Return that with what follows from it: power, voltages of cells compared, ..."""
        values = self.decode(frame)
        self._bms._add_missing_values(values, self._bms._raw_values())
        return values


def _at_once[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise ValueError("it waits for Bluetooth")


def peer(software_version: int) -> Peer | None:
    """Return the decoder, None where the package is not installed."""
    return Peer(software_version) if find_spec(PACKAGE) else None
