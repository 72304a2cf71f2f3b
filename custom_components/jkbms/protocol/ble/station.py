"""The one pack of a Bluetooth connection."""

from dataclasses import dataclass, field as dataclass_field
from typing import Final

from ..datum import Block
from ..frames import Frame
from ..layout import Layout, recognise
from ..pacing import Patience
from ..state import BmsState, Update
from ..station import Station

ADDRESS: Final = 0
"""Who is asked on a connection of its own needs no address."""
_BACK_OFF_MAX: Final = 30.0


@dataclass(slots=True, kw_only=True)
class BleStation(Station):
    """A pack that is asked over Bluetooth."""

    state: BmsState = dataclass_field(
        default_factory=lambda: BmsState(layouts=frozenset(Layout))
    )
    patience: Patience
    due: dict[Block, float]
    """When to ask for settings and device information next."""
    misses: int = 0
    """Orders in a row without an answer that can be believed."""

    @property
    def layout(self) -> Layout | None:
        """The layout on which settings and live values agree; None while unknown."""
        frames = self.state.frames
        if Block.SETTINGS not in frames or Block.LIVE not in frames:
            return None
        told = {recognise(frames[block]) for block in (Block.SETTINGS, Block.LIVE)}
        return told.pop() if len(told) == 1 else None

    @property
    def back_off(self) -> float:
        """Seconds until a pack that does not answer is asked again."""
        return float(min(_BACK_OFF_MAX, 2**self.misses))

    def take(
        self, frame: Frame, block: Block, now: float, *, noisy: bool
    ) -> Update | None:
        """Take over a frame; None where it cannot be believed."""
        state = self.state
        update = state.take_frame(frame, block, now, noisy=noisy)
        if update is not None and state.layout not in (None, Layout.JK02_32S):
            # Older boards have fewer values: what has no place there is not offered.
            known = {key for key, value in state.values.items() if value is not None}
            state.told = known | (state.told or set())
        return update
