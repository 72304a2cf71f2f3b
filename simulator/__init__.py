"""A bank of JK packs that talks on a simulated RS485 line.

It shares no code with the integration: its register table, check sums and rules
are transcribed a second time from the vendor's map, its frames are captures.

A bank, a line and a server::

    bank = Bank.default(addresses=range(1, 17), seed=1, still=True)
    line = SlaveLine(bank, speed=Speed.WIRE)
    async with serve_tcp(line) as server:
        ...connect to server.url, then look at bank[3].journal and line.counters

`serve_pty(line, link=path)` is the same behind a USB adapter.  `server.stop()` and
`server.start()` are an outage, `go_silent()` and `speak()` a gateway that hangs,
`drop_clients()` one that restarts.  `serve_modbus_tcp(line, manners=Manners(delay=2))`
is a gateway that converts, and loses what is not Modbus.

Without asyncio and without waiting, with time as an argument::

    line.receive(request, now)
    while (due := line.due()) is not None:
        pieces = line.collect(due)

A pack: `bank[1].get("cell_ovp")` and `.set("alarms", 1 << 4)` are raw values by the
names in `registers.py`; `.frame(Block.LIVE)` is what it would send; `.serial`,
`.model`, `.firmware`; `.present = False` takes it off the bus; `.deaf` and
`.turnaround` make it slower than its line; `.writing` makes it ignore, clamp or
refuse writes.  `.journal` holds every write, `.dangerous` those that should never
have been sent.  With `still=True` nothing moves by itself: frames stay as captured
but for identity and address; `.move()` lets physics take over from what was set.  `PIN` and `PASSWORD` are what stands where a real pack
keeps its secrets, so that a test can look for them where they must not be.

`MasterLine(bank, slot=SLOT)` is the bus on which the pack at address 0 talks by itself;
`line.polls` counts its messages, `line.counters` those of the clients.  The bank may be
on a `SlaveLine` at the same time, as on RS485-1 where address 0 answers too.
`pack.readdress(7)` turns a DIP switch, also into and out of the master's position.

Faults: `SlaveLine(bank, faults=[parse_fault("noise:rate=0.01")], seed=1)`; the kinds
are in `faults.py`.  `ReplayLine(load_capture(name), chunk=[1, 64], slot=SLOT)` plays a capture to listeners.

The same packs on a CAN bus are in `simulator.can`, in the older protocol `4E 57` in `simulator.ttl`.
"""

from .bank import Bank
from .faults import Fault, parse_fault
from .line import Counters, Line, SlaveLine, Speed
from .master import SLOT, SLOT_SLOW, MasterLine
from .modbus_tcp import Manners, ModbusTcpGateway, serve_modbus_tcp
from .pack import Outcome, Pack, Write, Writing
from .registers import Block
from .replay import ReplayLine, load_capture
from .rules import Refusal
from .seeds import PASSWORD, PIN, trios
from .server import PtyServer, TcpServer, serve_pty, serve_tcp

__all__ = [
    "PASSWORD",
    "PIN",
    "SLOT",
    "SLOT_SLOW",
    "Bank",
    "Block",
    "Counters",
    "Fault",
    "Line",
    "Manners",
    "MasterLine",
    "ModbusTcpGateway",
    "Outcome",
    "Pack",
    "PtyServer",
    "Refusal",
    "ReplayLine",
    "SlaveLine",
    "Speed",
    "TcpServer",
    "Write",
    "Writing",
    "load_capture",
    "parse_fault",
    "serve_modbus_tcp",
    "serve_pty",
    "serve_tcp",
    "trios",
]
