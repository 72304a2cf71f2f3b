"""Links to a bus: asyncio, and no Home Assistant."""
