"""Writing whatever happens: nothing but settings, nothing but allowed values, nothing untrue."""

from dataclasses import dataclass, field as dataclass_field
from datetime import datetime, timedelta
from random import Random
import struct
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.codecs import Bit, Value
from custom_components.jkbms.protocol.commands import SetClock, StartEmergency
from custom_components.jkbms.protocol.datum import Block, Field
from custom_components.jkbms.protocol.fields import BY_KEY, SETTINGS, writable
from custom_components.jkbms.protocol.frames import WriteRequest, trigger
from custom_components.jkbms.protocol.layout import (
    FRAME_HEAD,
    decode_block,
    decode_registers,
)
from custom_components.jkbms.protocol.master import Master, Plan
from custom_components.jkbms.protocol.order import ORDERS
from custom_components.jkbms.protocol.pacing import SERIAL
from custom_components.jkbms.protocol.rules import check
from custom_components.jkbms.protocol.settings_job import Transaction
from custom_components.jkbms.protocol.state import BmsState
from custom_components.jkbms.protocol.station import Event, Settled, Updated, Written
from custom_components.jkbms.protocol.write_job import Outcome, WriteResult
from custom_components.jkbms.protocol.writing import Change, Wish, is_within
from simulator import Pack, SlaveLine, Writing, parse_fault

from ..captures import Capture, modbus_exchanges
from .bus import TRIGGERS, Bus, bus_of, requests
from .helpers import SIMULATED, answer_of, bank_of, frame_of, framed, pack
from .test_writing import VENDOR

WRITABLE: Final = tuple(writable())
COMMANDS: Final = {0x1610: 2, 0x1612: 4}


def random_wish(random: Random, field: Field[Any]) -> Wish:
    if field.options:
        return random.choice(field.options)
    if field.limits is None:
        return random.random() < 0.5
    low = int(field.codec.encode(field.limits.minimum))
    high = int(field.codec.encode(field.limits.maximum))
    raw = random.choice((low, high, random.randint(low, high)))
    value = field.codec.decode(raw)
    assert isinstance(value, float | int)
    return value


def truth(of: Pack, field: Field[Any]) -> Value:
    """Return what a pack holds, of whatever firmware it is."""
    data = of.frame(SIMULATED[field.block])
    start = FRAME_HEAD + field.offset
    (raw,) = struct.unpack_from(f"<{field.codec.code}", data, start)
    value: Value = field.codec.decode(raw)
    return value


# -- round trip ---------------------------------------------------------------------


def test_ten_thousand_settings_come_back_as_they_were_written() -> None:
    """Of every field; what shares a register, known or not, stays as it was."""
    random = Random(11)
    packs = [pack(kind) for kind in range(7)]
    stored = refused = 0
    turns = 10_000 // len(WRITABLE) + 1
    for field in (field for field in WRITABLE for _ in range(turns)):
        of = random.choice(packs)
        word = random.randrange(0x10000)
        of.set("function_word", word)
        for name in ("rcv_time", "rfv_time"):
            of.set(name, random.randint(1, 250))
        before = frame_of(of, field.block).data
        change = Change(1, field, random_wish(random, field))
        request = change.request(change.current_data(before[FRAME_HEAD:]))
        image = of.image()
        if of.write(request.register, request.data, 0.0) is not None:
            refused += 1
            assert of.image() == image
            continue
        stored += 1
        after = frame_of(of, field.block).data
        found = change.found(change.current_data(after[FRAME_HEAD:]))
        assert found == (
            change.value
            if isinstance(change.value, str)
            else pytest.approx(change.value, abs=1e-9)
        )
        if isinstance(field.codec, Bit):
            left = of.number_of("function_word") ^ word
            assert left in (0, 1 << field.codec.bit)
        start = FRAME_HEAD + field.offset
        end = start + field.codec.size
        assert (after[:start], after[end:299]) == (before[:start], before[end:299])
    assert stored + refused >= 10_000
    # Limits of the models, protocols that are not there, V19 and an RCV time of 0.
    assert refused < stored / 4


@pytest.mark.parametrize(
    "key", ["charge_utp", "mos_otp", "heating_start_temperature", "discharge_utp"]
)
def test_a_temperature_below_zero_keeps_its_sign(key: str) -> None:
    field = BY_KEY[key]
    assert field.limits is not None
    of = pack(2)
    for value in {field.limits.minimum, max(field.limits.minimum, -1.0)}:
        change = Change(1, field, value)
        request = change.request(bytes(2 * field.words))
        assert of.write(request.register, request.data, 0.0) is None
        assert truth(of, field) == value


VENDOR_WRITES: Final = [
    capture
    for capture in modbus_exchanges()
    if capture.id.startswith("modbus-vendor-w")
]


@pytest.mark.parametrize("capture", VENDOR_WRITES, ids=lambda capture: capture.id)
def test_the_vendors_examples_are_sent_byte_for_byte(capture: Capture) -> None:
    (asked,) = framed(capture.data)
    assert isinstance(asked, WriteRequest)
    (key,) = decode_registers(asked.register, asked.data)
    value = {"ON": True, "OFF": False}.get(
        str(capture.expected["value"]), capture.expected["value"]
    )
    change = Change(asked.address, BY_KEY[key], value)
    assert change.request(bytes(len(asked.data))).encode() == capture.data


def test_there_are_examples_of_the_vendor() -> None:
    assert len(VENDOR_WRITES) >= 13


# -- old answers --------------------------------------------------------------------


def submitted(bus: Bus, key: str, value: Wish) -> Change:
    change = Change(1, BY_KEY[key], value)
    bus.master.submit(change)
    return change


def ended(bus: Bus, change: Change) -> WriteResult:
    """Wait for how a change ends."""

    def is_it(event: Event) -> bool:
        return isinstance(event, Written) and event.change is change

    _, event = bus.run_until(is_it)
    assert isinstance(event, Written)
    return event.result


def is_pending(bus: Bus, request: WriteRequest) -> bool:
    return bus.master.line.busy and bus.sent[-1][1] == request.encode()


def test_a_poll_from_before_a_write_does_not_undo_what_was_proven() -> None:
    bus = bus_of(1, live=1)
    bus.run(10)
    old = answer_of(bus.line.bank[1], Block.SETTINGS)
    change = submitted(bus, "cell_ovp", 3.7)
    ended(bus, change)
    values = bus.master.stations[1].state.values
    assert values["cell_ovp"] == 3.7
    # It comes while nothing is asked for, and while live values are.
    assert not bus.master.line.busy
    bus.intrusion = [(bus.now, old)]
    bus.run(0.05)
    assert values["cell_ovp"] == 3.7
    while not is_pending(bus, trigger(1, Block.LIVE)):
        bus.run(0.002)
    bus.intrusion = [(bus.now, old)]
    bus.run(3)
    assert values["cell_ovp"] == 3.7
    assert bus.master.stations[1].available


def test_a_poll_from_before_a_write_is_no_proof_against_it() -> None:
    """The answer to the poll is taken for the one to the read-back."""
    bus = bus_of(1, live=1)
    bus.run(10)
    old = answer_of(bus.line.bank[1], Block.SETTINGS)
    change = submitted(bus, "cell_ovp", 3.7)
    while not bus.line.bank[1].journal:
        bus.run(0.01)
    while not is_pending(bus, trigger(1, Block.SETTINGS)):
        bus.run(0.002)
    bus.intrusion = [(bus.now, old)]
    assert ended(bus, change).outcome is Outcome.PROVEN
    assert bus.master.stations[1].state.values["cell_ovp"] == 3.7
    assert len(bus.line.bank[1].journal) == 1


def test_an_ack_that_comes_late_or_twice_is_not_that_of_another_write() -> None:
    bus = bus_of(1, fault="repeat:rate=1")
    bus.run(10)
    changes = [submitted(bus, "cell_ovp", 3.68), submitted(bus, "balancer", False)]
    bus.run(10)
    told = [e for _, e in bus.of_type(Written)]
    assert [e.change for e in told] == changes
    assert {e.result.outcome for e in told} == {Outcome.PROVEN}
    late = bus_of(1, fault="late:rate=0.5:delay=1.2", seed=3)
    late.run(10)
    for number in range(8):
        change = submitted(late, "balance_trigger_voltage", 0.005 + number / 1000)
        if ended(late, change).outcome is Outcome.PROVEN:
            assert late.raw(1, "balance_trigger") == 5 + number


def test_a_pack_that_ignores_writes_is_told_for_every_kind_of_setting() -> None:
    bus = bus_of(1, fault="writes:mode=ignore")
    bus.run(10)
    wanted = (
        ("balancer", False),
        ("cell_ovp", 3.7),
        ("cell_request_float_time", 2.0),
        ("dry_1_trigger", "none"),
    )
    for key, value in wanted:
        before = truth(bus.line.bank[1], BY_KEY[key])
        change = submitted(bus, key, value)
        result = ended(bus, change)
        assert result.outcome is Outcome.IGNORED
        assert result.found == before == bus.master.stations[1].state.values[key]


@pytest.mark.parametrize("forgets", [0, 1])
def test_a_pack_that_loses_its_power_after_the_write_is_shown_as_it_is(
    forgets: int,
) -> None:
    bus = bus_of(1, 2, fault=f"powercut:address=1:length=20:forgets={forgets}")
    bus.run(10)
    change = submitted(bus, "cell_ovp", 3.7)
    assert ended(bus, change).outcome is Outcome.UNPROVEN
    bus.run(120)
    value = truth(bus.line.bank[1], BY_KEY["cell_ovp"])
    assert (value == 3.7) is not bool(forgets)
    assert bus.master.stations[1].state.values["cell_ovp"] == value
    assert bus.master.stations[1].available


# -- whatever happens ---------------------------------------------------------------

FAULTS: Final = (
    "silent:rate=0.15",
    "late:rate=0.15:delay=0.7",
    "repeat:rate=0.3",
    "stranger:rate=0.15",
    "torn:rate=0.1",
    "padding",
    "echo",
    "powercut:length=4:forgets=1:times=2",
    "powercut:length=3:forgets=0:times=2",
    "vanish:address=1:after=20:length=6:every=25",
)
SHARED: Final = [
    "cell_ovp",
    "cell_ovpr",
    "cell_uvp",
    "cell_uvpr",
    "soc_0_voltage",
    "soc_100_voltage",
    "cell_request_charge_voltage",
    "cell_request_float_voltage",
    "balance_starting_voltage",
    "balancer",
    "charging_switch",
    "heater",
    "smart_sleep",
    "cell_request_charge_time",
    "cell_request_float_time",
    "charge_utp",
    "charge_utp_recovery",
    "max_charge_current",
    "dry_1_trigger",
    "dry_2_trigger",
    "uart1_protocol",
    "heating_start_temperature",
    "connection_resistance_3",
    "data_stored_period",
]  # a list of two dozen quoted words says no more


@dataclass
class User:
    """Somebody who does what he likes, and looks at every answer."""

    random: Random
    bus: Bus
    checked: int = 0
    proven: int = 0
    transactions: list[Transaction] = dataclass_field(default_factory=list)

    def act(self) -> None:
        """Do one thing."""
        random, master = self.random, self.bus.master
        address = random.choice((1, 2))
        if address not in master.stations:
            master.add(address, self.bus.now)
            return
        values = master.stations[address].state.values
        match random.randrange(12):
            case 0 if self.transactions:
                master.cancel(random.choice(self.transactions))
            case 1:
                master.remove(address)
            case 2:
                self.look(master.disconnected(self.bus.now))
                self.bus.run(random.random())
                master.connected(self.bus.now)
            case 3:
                self.look(master.disconnected(self.bus.now))
                self.bus.master = Master((1, 2), Plan(live=1), SERIAL, self.bus.now)
                self.bus.master.connected(self.bus.now)
            case 4:
                local = datetime(2026, 7, 1) + timedelta(days=random.randrange(300))
                master.submit(SetClock(address, local, self.bus.now))
            case 5:
                master.submit(StartEmergency(address))
            case 6 | 7 | 8:
                wanted = self.wishes(values, random.randint(1, 6))
                if wanted and not check(wanted, values):
                    made = Transaction(
                        tuple(Change(address, f, v) for f, v in wanted.items())
                    )
                    self.transactions.append(made)
                    master.submit(made)
            case _:
                for field, value in self.wishes(values, 1).items():
                    if not check({field: value}, values):
                        master.submit(Change(address, field, value))

    def wishes(self, values: dict[str, Value], count: int) -> dict[Field[Any], Wish]:
        """Return what he would like, mostly something near what there is."""
        wanted: dict[Field[Any], Wish] = {}
        for key in self.random.sample(SHARED, count):
            field, now = BY_KEY[key], values.get(key)
            wish = random_wish(self.random, field)
            if field.limits and isinstance(now, float) and self.random.random() < 0.8:
                wish = round(now + self.random.uniform(-0.1, 0.1), 3)
            if is_within(field, wish):
                wanted[field] = wish
        return wanted

    def look(self, events: tuple[Event, ...] | list[Event]) -> None:
        """Hold every answer against the pack itself."""
        for event in events:
            match event:
                case Written(Change() as change, result):
                    self.compare(change, result.outcome, result.found)
                case Settled(_, report):
                    for told in report.results:
                        self.compare(
                            told.change, told.outcome, told.found, told.rolled_back
                        )

    def compare(
        self,
        change: Change,
        outcome: Outcome | None,
        found: Value,
        rolled_back: bool | None = None,
    ) -> None:
        """Compare one result with the truth."""
        self.checked += 1
        if outcome is None or found is None:
            return
        now = truth(self.bus.line.bank[change.address], change.field)
        assert found == now, (change.field.key, outcome, found, now)
        if outcome is Outcome.PROVEN and rolled_back is None:
            self.proven += 1
            assert (
                change.found(change.register_data(bytes(2 * change.field.words))) == now
            )


def broken(of: Pack) -> set[str]:
    values = {field.key: truth(of, field) for field in SETTINGS if field.limits}
    # Before firmware 15.41 the two are something else, and nobody here has that.
    return {
        f"{order.lower.key}-{order.upper.key}"
        for order in ORDERS
        if "overtemp_alarm" not in order.lower.key
        and not order.lower.key.startswith(("discharge_utp", "heating"))
        and (excess := order.excess(values)) is not None
        and order.is_broken_by(excess)
    }


@pytest.mark.parametrize("seed", range(24))
def test_whatever_happens_nothing_else_is_written_and_nothing_untrue_is_told(
    seed: int,
) -> None:
    random = Random(seed)
    line = SlaveLine(
        bank_of(1, 2),
        faults=[parse_fault(f) for f in random.sample(FAULTS, random.randint(0, 3))],
        seed=seed,
    )
    for of in line.bank:
        of.writing = random.choices(list(Writing), (12, 1, 1, 1, 1))[0]
        assert broken(of) == set()
    master = Master((1, 2), Plan(live=1), SERIAL, 100.0)
    master.connected(100.0)
    bus = Bus(master, line)
    user = User(random, bus)
    bus.run(8)
    for _ in range(40):
        user.act()
        for _ in range(random.randint(1, 100)):
            user.look([event for _, event in bus.run(0.02)])
            # At no time, also in the middle of a transaction.
            assert not any(map(broken, line.bank))
    # The end of all faults, and a restart.
    line.faults = ()
    for _ in range(1500):
        user.look([event for _, event in bus.run(0.02)])
    bus.master = Master((1, 2), Plan(live=1, settings=5, device=5), SERIAL, bus.now)
    bus.master.connected(bus.now)
    bus.run(30)
    assert bus.line.bank.dangerous == []
    for of in line.bank:
        for entry in of.journal:
            assert (VENDOR | COMMANDS)[entry.register] == len(entry.data)
        state = bus.master.stations[of.address].state
        assert_settings_are_true(state, of)
    assert {request.register for _, request in requests(bus)} <= {
        *TRIGGERS,
        *VENDOR,
        *COMMANDS,
    }


def assert_settings_are_true(state: BmsState, of: Pack) -> None:
    for block in (Block.SETTINGS, Block.DEVICE):
        wanted = decode_block(
            of.frame(SIMULATED[block]),
            block,
            firmware=state.firmware,
            offset=FRAME_HEAD,
        )
        assert {key: state.values[key] for key in wanted} == wanted
    for field in WRITABLE:
        value = state.values[field.key]
        if field.since is None and field.until is None and value is not None:
            assert isinstance(value, float | int | str)
            in_range = is_within(field, value)
            # RCV and sleep may be 0 in a pack that has never been set.
            assert in_range or not any(
                entry.register == field.register for entry in of.journal
            )


def test_the_users_of_the_test_above_get_something_done() -> None:
    """A test in which nothing happens proves nothing."""
    bus = bus_of(1, 2)
    user = User(Random(1), bus)
    bus.run(8)
    for _ in range(60):
        user.act()
        for _ in range(60):
            user.look([event for _, event in bus.run(0.02)])
    assert user.proven > 15
    assert len(user.transactions) > 3
    assert {type(e) for _, e in bus.events} >= {Updated, Written, Settled}
    assert {e.change for _, e in bus.of_type(Written)}
