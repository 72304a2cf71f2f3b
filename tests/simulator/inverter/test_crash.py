"""A process that dies in the middle of a word, in real time: the inverter gives up by itself."""

import asyncio
from pathlib import Path
import signal
import sys
from typing import Final

import pytest

from simulator import Speed
from simulator.can import Bus, serve_can_tcp
from simulator.inverter import LANGUAGES, InverterHost

from ...transport.peers import until

ROOT: Final = Path(__file__).parents[3]
_GIVES_UP: Final = 1.5


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_process_that_dies_leaves_nothing_behind(
    socket_enabled: None, how: signal.Signals
) -> None:
    host = InverterHost(LANGUAGES["deye"], timeout=_GIVES_UP)
    loop = asyncio.get_running_loop()
    async with serve_can_tcp(Bus([host], bitrate=500_000, speed=Speed.FAST)) as gateway:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.simulator.inverter.speaker",
            str(gateway.port),
            cwd=ROOT,
        )
        try:

            def charges() -> float:
                held = host.held(loop.time())
                return 0.0 if held is None else held.charge

            await until(lambda: charges() == 200.0, 30.0)
            process.send_signal(how)
            await process.wait()
            died = loop.time()
            await until(lambda: host.held(loop.time()) is None)
            assert loop.time() - died <= _GIVES_UP + 1.0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert host.timeouts == 1
