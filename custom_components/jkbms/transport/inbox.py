"""Where a look at a line collects what is heard."""

import asyncio

from .link import LinkError, LinkFault


class Inbox[R]:
    """What came from a line, and whether it still is one."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        self._chunks: list[R] = []
        self._arrived = asyncio.Event()
        self._lost: LinkError | None = None

    def receive(self, chunk: R) -> None:
        """Take what was heard."""
        self._chunks.append(chunk)
        self._arrived.set()

    def lose(self, error: Exception | None) -> None:
        """Take note that the line has ended."""
        if not isinstance(error, LinkError):
            error = LinkError(LinkFault.LOST, "the line was closed")
        self._lost = error
        self._arrived.set()

    async def chunks(self, until: float) -> list[R]:
        """Return what arrives until then; raises LinkError when the line ends."""
        try:
            async with asyncio.timeout_at(until):
                await self._arrived.wait()
        except TimeoutError:
            return []
        self._arrived.clear()
        chunks, self._chunks = self._chunks, []
        if self._lost is not None:
            if not chunks:
                raise self._lost
            self._arrived.set()
        return chunks
