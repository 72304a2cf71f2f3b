"""What became of the frames of a CAN bus."""

from dataclasses import dataclass


@dataclass(slots=True)
class CanCounts:
    """Counted since the integration was started, over all connections."""

    frames: int = 0
    """Data frames that were handed on."""
    errors: int = 0
    """Error frames: the bit rate, the wiring, or nobody who acknowledges."""
    ignored: int = 0
    """Remote frames, those of CAN FD and echoes of what was sent here."""
    damaged: int = 0
    """Frames whose data is not as long as they say."""
    skipped: int = 0
    """Bytes of a gateway's stream that belong to no record."""
