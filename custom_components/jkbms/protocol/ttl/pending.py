"""What was sent last on a line of `4E 57`, and what can be its answer."""

from dataclasses import dataclass

from .frames import Command, Message, Transport
from .station import TtlStation
from .switch_job import SwitchJob


@dataclass(slots=True)
class Pending:
    """What was sent last, and how long is waited for what comes of it."""

    station: TtlStation
    sent: Message
    at: float
    job: SwitchJob | None = None
    then: Message | None = None
    """What is sent when the time is over; nothing is expected before."""
    until: float = 0.0
    """When that is."""
    heard: float | None = None
    """When the last byte came."""
    echo: bool = True
    """Whether an adapter may still repeat what was sent."""

    def answered_by(self, message: Message) -> bool:
        """Tell whether a message can be the answer."""
        sent = self.sent
        if message.transport != Transport.ANSWER or message.terminal != sent.terminal:
            return False
        if message.command != sent.command:
            return False
        written = sent.command == Command.WRITE
        return not written or message.content[:1] == sent.content[:1]
