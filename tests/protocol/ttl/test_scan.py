"""Who answers in `4E 57`: one pack alone, several, one that sleeps, nobody."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from custom_components.jkbms.protocol.datum import ALL_BLOCKS
from custom_components.jkbms.protocol.fields import BY_KEY
from custom_components.jkbms.protocol.pacing import NETWORK, SERIAL, Timing
from custom_components.jkbms.protocol.ttl.scan import TtlScan
from simulator import Bank, parse_fault
from simulator.ttl import TtlLine

from .answers import message


@dataclass
class Done:
    """A scan that has come to its end."""

    scan: TtlScan
    seconds: float
    sent: list[bytes] = field(default_factory=list)
    progress: list[float] = field(default_factory=list)


def scanned(
    line: TtlLine,
    timing: Timing = SERIAL,
    heard: Callable[[bytes], bytes] = lambda _: b"",
) -> Done:
    """Scan a line in simulated time; `heard` is what else a request makes audible."""
    now = 50.0
    scan = TtlScan(timing, now)
    done = Done(scan, 0.0)
    data = b""
    for _ in range(2000):
        step = scan.advance(now, data)
        done.progress.append(step.progress)
        if step.done:
            assert not step.send
            done.seconds = now - 50.0
            return done
        data = b""
        if step.send:
            done.sent.append(step.send)
            line.receive(step.send, now)
            data = heard(step.send)
        due = line.due()
        now = max(now, min([step.wake] + ([due] if due is not None else [])))
        data += b"".join(line.collect(now))
    raise AssertionError("the scan does not end")


def line_of(*addresses: int, fault: str | None = None) -> TtlLine:
    faults = [parse_fault(fault)] if fault else []
    return TtlLine(Bank.default(addresses, seed=1, still=True), faults=faults, seed=1)


@pytest.mark.parametrize("timing", [SERIAL, NETWORK])
def test_a_pack_alone_is_found_at_once(timing: Timing) -> None:
    done = scanned(line_of(0), timing)
    assert list(done.scan.found) == [0]
    assert len(done.sent) == 1
    assert done.seconds < 0.5
    state = done.scan.found[0]
    assert state.seen.keys() == ALL_BLOCKS
    # What it has is known without another look.
    assert state.features is not None
    assert state.features.has(BY_KEY["total_voltage"])
    assert not state.features.has(BY_KEY["state_of_health"])
    assert not state.features.has_blocks


def test_a_pack_that_sleeps_is_woken() -> None:
    line = line_of(0)
    line.sleep(0)
    assert list(scanned(line).scan.found) == [0]
    assert line.activations == 1


def test_a_silent_line_takes_little_time() -> None:
    done = scanned(line_of())
    assert done.scan.found == {}
    # Three times half a second, a second's pause, a half to wake up, and a last half.
    assert done.seconds == pytest.approx(0.1 + 1.5 + 1.0 + 0.5 + 0.5)
    assert [(data[7], data[8]) for data in done.sent] == [
        *[(0, 6)] * 3,
        (0, 1),
        (0, 6),
    ]
    assert done.progress == sorted(done.progress)
    assert {0.0, 0.25, 0.5, 0.75} < set(done.progress)
    assert done.progress[-1] == 1


def test_packs_that_answer_terminal_0_together_are_asked_one_by_one() -> None:
    def all_at_once(request: bytes) -> bytes:
        return bytes.fromhex("4e570121ee0000") if request[7] == 0 else b""

    done = scanned(line_of(2, 5, 7), heard=all_at_once)
    assert sorted(done.scan.found) == [2, 5, 7]
    assert all(message(data).encode() == data for data in done.sent)
    asked = [(data[7], data[8]) for data in done.sent]
    # Terminal 0 before and after it was woken, then each other one twice at most.
    assert asked[:5] == [(0, 6)] * 3 + [(0, 1), (0, 6)]
    assert {terminal: asked.count((terminal, 6)) for terminal in range(1, 17)} == {
        **dict.fromkeys(range(1, 16), 2),
        **dict.fromkeys((2, 5, 7), 1),
        16: 0,
    }
    assert done.progress == sorted(done.progress)
    assert done.seconds < 25


def test_nobody_is_asked_one_by_one_where_nothing_was_heard() -> None:
    now = 50.0
    scan = TtlScan(SERIAL, now)
    for _ in range(40):
        step = scan.advance(now)
        if step.done:
            break
        now = max(now, step.wake)
    assert (step.done, step.progress, scan.found) == (True, 1.0, {})


def test_noise_alone_is_nobody() -> None:
    done = scanned(line_of(), heard=lambda _: b"\x00\xff")
    assert done.scan.found == {}
    assert done.seconds < 30
    # The last of fifteen has missed one of its two requests.
    assert done.progress[-1] == 1
    assert max(p for p in done.progress if p < 1) == pytest.approx(1 - 0.5 / 15)


def test_a_first_answer_through_noise_is_said_twice() -> None:
    done = scanned(line_of(0, fault="noise:rate=0:around=4"))
    assert list(done.scan.found) == [0]
    assert len(done.sent) >= 2
