"""The line's timing: what is heard, when it is answered, and what collides."""

from collections.abc import Iterable

import pytest

from simulator import Bank, Block, SlaveLine, Speed
from simulator.checks import with_crc

from . import ack, ask, ask_timed, pieces, read, refusal, trigger, write

BYTE = 10 / 115_200


def wire(addresses: Iterable[int] = range(1, 5), **options: float) -> SlaveLine:
    """A bank that stands still, at the speed of the wire."""
    bank = Bank.default(addresses, still=True)
    return SlaveLine(
        bank, turnaround=options.pop("turnaround", None), deaf=options.pop("deaf", None)
    )


def test_a_reply_takes_request_turnaround_and_the_time_of_308_bytes() -> None:
    line = wire()
    line.receive(trigger(1), 5.0)
    assert line.due() == pytest.approx(5.0 + 11 * BYTE + 0.010 + 32 * BYTE)
    heard = list(pieces(line))
    assert heard[-1][0] == pytest.approx(5.0 + 11 * BYTE + 0.010 + 308 * BYTE)
    assert pytest.approx(0.0267, abs=0.0001) == 308 * BYTE
    assert [len(piece) for _, piece in heard] == [32] * 9 + [20]


def test_nothing_arrives_before_its_time() -> None:
    line = wire()
    line.receive(trigger(1), 0.0)
    assert line.collect(11 * BYTE + 0.010 + 31.5 * BYTE) == []
    [piece] = line.collect(11 * BYTE + 0.010 + 70.5 * BYTE)
    assert len(piece) == 64
    assert b"".join(line.collect(1.0)) == line.bank[1].frame(Block.LIVE)[64:] + ack(
        1, 0x1620
    )
    assert line.due() is None


@pytest.mark.parametrize(
    ("quiet", "heard"), [(0.0, 0), (0.002, 0), (0.034, 0), (0.036, 308), (0.4, 308)]
)
@pytest.mark.parametrize("address", [1, 2])
def test_packs_are_deaf_for_35_ms_after_any_reply(
    quiet: float, heard: int, address: int
) -> None:
    line = wire()
    _, end = ask_timed(line, trigger(1), 1.0)
    assert len(ask(line, trigger(address), end + quiet)) == heard
    assert line.counters.unheard == (0 if heard else 1)
    assert line.counters.heard == line.counters.replies == (2 if heard else 1)


def test_a_lost_request_does_not_prolong_the_deafness() -> None:
    line = wire()
    _, end = ask_timed(line, trigger(1), 0.0)
    assert ask(line, trigger(2), end + 0.030) == b""
    assert len(ask(line, trigger(2), end + 0.036)) == 308


def test_a_short_answer_makes_deaf_as_well() -> None:
    line = wire()
    answer, end = ask_timed(line, write(1, 0x1070, bytes([0, 0, 0, 1])), 0.0)
    assert answer == ack(1, 0x1070, 2)
    assert end == pytest.approx(13 * BYTE + 0.010 + 8 * BYTE)
    assert ask(line, trigger(1), end + 0.034) == b""


def test_a_pack_can_be_deaf_longer_than_its_line() -> None:
    line = wire()
    line.bank[2].deaf = 0.09
    _, end = ask_timed(line, trigger(1), 0.0)
    assert ask(line, trigger(2), end + 0.080) == b""
    assert len(ask(line, trigger(2), end + 0.095)) == 308


def test_a_pack_can_think_longer_than_its_line() -> None:
    line = wire()
    line.bank[1].turnaround = 0.1
    _, end = ask_timed(line, trigger(1), 0.0)
    assert end == pytest.approx(0.1 + 319 * BYTE)


def test_deafness_and_turnaround_of_a_line_can_be_chosen() -> None:
    line = wire(deaf=0.0, turnaround=0.02)
    _, end = ask_timed(line, trigger(1), 0.0)
    assert end == pytest.approx(0.02 + 319 * BYTE)
    assert len(ask(line, trigger(1), end)) == 308


def test_jitter_is_repeatable_by_seed() -> None:
    ends = []
    for seed in (1, 1, 2):
        line = SlaveLine(Bank.default(still=True), jitter=0.005, seed=seed)
        ends.append([ask_timed(line, trigger(1), float(turn))[1] for turn in range(5)])
    assert ends[0] == ends[1] != ends[2]
    assert len({round(end % 1, 6) for end in ends[0]}) == 5


def test_without_wire_time_everything_comes_at_once() -> None:
    line = SlaveLine(Bank.default(still=True), speed=Speed.FAST)
    for _ in range(3):
        answer, end = ask_timed(line, trigger(2), 7.0)
        assert (len(answer), end) == (308, 7.0)
    assert line.counters.unheard == 0


@pytest.mark.parametrize("speed", Speed)
def test_a_request_with_a_wrong_crc_is_met_with_silence(speed: Speed) -> None:
    line = SlaveLine(Bank.default(still=True), speed=speed)
    assert ask(line, trigger(1)[:-1] + b"\0") == b""
    assert line.counters.damaged == 1
    assert len(ask(line, trigger(1), 1.0)) == 308


def test_an_absent_address_is_met_with_silence() -> None:
    line = wire()
    assert ask(line, trigger(9)) == b""
    line.bank[2].present = False
    assert ask(line, trigger(2), 1.0) == b""
    assert line.counters.absent == 2
    line.bank[2].present = True
    assert len(ask(line, trigger(2), 2.0)) == 308


def test_a_request_in_pieces_is_heard_if_they_follow_closely() -> None:
    line = wire()
    request = trigger(1)
    line.receive(request[:4], 0.0)
    line.receive(b"", 0.0)
    line.receive(request[4:], 4 * BYTE + 0.001)
    assert len(b"".join(piece for _, piece in pieces(line))) == 308


def test_a_pause_inside_a_request_spoils_it() -> None:
    line = wire()
    request = trigger(1)
    line.receive(request[:4], 0.0)
    assert line.due() == pytest.approx(4 * BYTE + 0.00175)
    line.receive(request[4:], 4 * BYTE + 0.002)
    assert list(pieces(line)) == []
    assert line.counters.damaged == 2


def test_bytes_given_at_once_queue_up_at_the_speed_of_the_wire() -> None:
    line = wire()
    line.receive(trigger(9), 0.0)
    line.receive(trigger(1), 0.0)
    assert line.due() == pytest.approx(22 * BYTE + 0.010 + 32 * BYTE)


def test_noise_before_a_request_spoils_it_until_silence() -> None:
    line = wire()
    assert ask(line, b"\xff" + trigger(1)) == b""
    assert line.counters.damaged == 1
    assert len(ask(line, trigger(1), 0.1)) == 308


def test_an_unknown_function_is_answered_after_the_silence_that_ends_it() -> None:
    line = wire()
    answer, end = ask_timed(line, with_crc(bytes([1, 0x2B, 1, 2, 3])), 0.0)
    assert answer == refusal(1, 0x2B, 1)
    assert end == pytest.approx(7 * BYTE + 0.00175 + 0.010 + 5 * BYTE)
    assert ask(line, bytes([1, 0x2B, 1, 2, 3, 4, 5]), 1.0) == b""


def test_a_lone_byte_is_no_request() -> None:
    line = wire()
    assert ask(line, b"\x01") == b""
    assert line.counters.damaged == 1


def test_talking_into_a_reply_damages_both() -> None:
    line = wire()
    line.receive(trigger(1), 0.0)
    whole = line.bank[1].frame(Block.LIVE) + ack(1, 0x1620)
    first = b"".join(piece for _, piece in pieces(line, 0.020))
    line.receive(trigger(2), 0.020)
    rest = b"".join(piece for _, piece in pieces(line))
    answer = first + rest
    assert len(answer) == 308
    assert answer.startswith(first)
    wrong = [place for place in range(308) if answer[place] != whole[place]]
    assert wrong
    assert wrong[-1] - wrong[0] <= 12
    assert whole.startswith(first)
    assert line.counters.collisions == 1
    assert line.counters.heard == 1


def test_two_packs_asked_in_one_breath_collide() -> None:
    line = wire()
    line.receive(trigger(1) + trigger(2), 0.0)
    answer = b"".join(piece for _, piece in pieces(line))
    # The second begins eleven byte times into the first and lasts as much longer.
    assert len(answer) == 319
    assert answer[:11] == line.bank[1].frame(Block.LIVE)[:11]
    assert answer[-11:] == (line.bank[2].frame(Block.LIVE) + ack(2, 0x1620))[-11:]
    assert line.counters.collisions == 1
    assert line.counters.heard == 2


def test_a_long_burst_runs_into_the_reply_to_its_first_request() -> None:
    line = wire()
    line.receive(trigger(1) + bytes(200), 0.0)
    answer = b"".join(piece for _, piece in pieces(line))
    assert len(answer) == 308
    assert answer != line.bank[1].frame(Block.LIVE) + ack(1, 0x1620)


def test_a_pack_does_not_hear_while_it_thinks() -> None:
    line = wire()
    line.bank[1].turnaround = 0.2
    line.receive(trigger(1), 0.0)
    line.receive(trigger(1), 0.05)
    assert len(b"".join(piece for _, piece in pieces(line))) == 308
    assert line.counters.unheard == 1


def test_a_reply_that_is_overtaken_arrives_in_the_order_of_time() -> None:
    line = wire()
    line.bank[1].turnaround = 0.2
    line.receive(trigger(1), 0.0)
    line.receive(trigger(2), 0.05)
    answer = b"".join(piece for _, piece in pieces(line))
    assert answer[300:308] == ack(2, 0x1620)
    assert answer[608:] == ack(1, 0x1620)


def test_a_quick_pack_that_is_asked_second_begins_before_the_first() -> None:
    line = wire()
    line.bank[1].turnaround = 0.0141
    line.receive(trigger(1), 0.0)
    line.receive(trigger(2), 0.002)
    answer = b"".join(piece for _, piece in pieces(line))
    assert line.counters.collisions == 1
    assert 308 < len(answer) < 340
    assert answer.startswith(line.bank[2].frame(Block.LIVE)[:20])
    assert answer[-8:] == ack(1, 0x1620)


def test_reading_registers_keeps_the_same_pace() -> None:
    line = wire()
    answer, end = ask_timed(line, read(1, 0x1200, 120), 0.0)
    assert len(answer) == 245
    assert end == pytest.approx(8 * BYTE + 0.010 + 245 * BYTE)


def test_hours_of_a_full_bus_take_seconds() -> None:
    line = SlaveLine(Bank.default(range(16), still=True), chunk=308)
    now = 0.0
    for turn in range(16_000):
        answer, end = ask_timed(line, trigger(turn % 16), now)
        assert len(answer) == 308
        now = end + 0.05
    assert now > 1400
    assert line.counters.heard == line.counters.replies == 16_000
    assert line.counters.unheard == line.counters.collisions == 0
