"""Other people's programs speak with the simulator, and find what its packs have."""

from pathlib import Path
from typing import Any, Final

from cantools.database.can import Database
from pymodbus.client import AsyncModbusTcpClient
import pytest

from simulator import Bank, SlaveLine, Speed, serve_modbus_tcp
from simulator.can import CanBus

_DOCS: Final = Path(__file__).parents[2] / "docs"
_LIVE: Final = 0x1200


@pytest.mark.usefixtures("socket_enabled")
async def test_pymodbus_reads_and_writes_the_registers_of_a_pack() -> None:
    bank = Bank.default(still=True)
    line = SlaveLine(bank, speed=Speed.FAST)
    async with serve_modbus_tcp(line) as gateway:
        client = AsyncModbusTcpClient(gateway.host, port=gateway.port)
        assert await client.connect()
        for pack in bank:
            cells = await client.read_holding_registers(
                _LIVE, count=16, device_id=pack.address
            )
            assert not cells.isError()
            assert cells.registers == [
                pack.number_of(f"cell_voltage_{n}") for n in range(1, 17)
            ]
            pair = await client.read_holding_registers(
                0x1290, count=2, device_id=pack.address
            )
            high, low = pair.registers
            assert high << 16 | low == pack.number_of("pack_voltage")
        written = await client.write_registers(0x1084, [0, 3410], device_id=2)
        assert not written.isError()
        client.close()
    assert bank[2].get("balance_start_voltage") == 3410


def test_cantools_reads_what_packs_say_on_can() -> None:
    database = Database()
    database.add_dbc_file(_DOCS / "jk_can.dbc")
    bank = Bank.default(range(1), still=True)
    pack = bank.packs[0]
    told: dict[str, Any] = {}
    for _, code, extended, data in CanBus(bank, seed=1).messages(4.0):
        message = database.get_message_by_frame_id(code)
        assert message.is_extended_frame is extended
        told |= message.decode_simple(data, allow_truncated=True, decode_choices=False)
    cells = [pack.number_of(f"cell_voltage_{n}") for n in range(1, 17)]
    assert [told[f"cell_voltage_{n}"] for n in range(1, 17)] == pytest.approx(
        [volt / 1000 for volt in cells]
    )
    # A pack tells its extremes of another moment (rs485.md 8).
    assert told["max_cell_voltage"] == pytest.approx(max(cells) / 1000, abs=0.003)
    assert told["min_cell_voltage"] == pytest.approx(min(cells) / 1000, abs=0.003)
    volts, amperes = pack.number_of("pack_voltage"), pack.number_of("current")
    assert told["bms_total_voltage"] == pytest.approx(volts / 1000, abs=0.1)
    assert told["current"] == pytest.approx(amperes / 1000, abs=0.1)
    assert told["state_of_charge"] == pack.number_of("soc")
    assert told["charging_cycles"] == pack.number_of("cycles")
    assert told["total_runtime"] == pack.number_of("run_time")
    assert told["charging"] == pack.number_of("charge_mos")
    assert told["discharging"] == pack.number_of("discharge_mos")
