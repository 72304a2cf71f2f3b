import asyncio, time, pytest
pytestmark=[pytest.mark.simulated_time]
async def test_a(socket_enabled):
    loop=asyncio.get_running_loop(); t=loop.time(); r=time.monotonic()
    await asyncio.sleep(3600)
    await loop.run_in_executor(None, time.sleep, .1)
    print(type(loop), loop.time()-t, time.monotonic()-r)
@pytest.mark.parametrize("x",[1,2])
async def test_b(x): pass
