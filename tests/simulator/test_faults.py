"""Each fault does what its name says, and the same again with the same seed."""

import pytest

from simulator import Bank, Block, SlaveLine, Speed, Writing, parse_fault
from simulator.faults import KINDS, Close, Mute, Noise, Reply, Torn

from . import ack, ask, ask_timed, pieces, read, refusal, trigger, write


def fast(*faults: str, seed: int = 1, packs: int = 3) -> SlaveLine:
    """A still bank without wire time, with faults."""
    return SlaveLine(
        Bank.default(range(1, packs + 1), still=True),
        speed=Speed.FAST,
        seed=seed,
        faults=[parse_fault(fault) for fault in faults],
    )


def answers(line: SlaveLine, count: int = 200, address: int = 1) -> list[bytes]:
    """What comes back for as many requests, a second apart."""
    return [ask(line, trigger(address), float(turn)) for turn in range(count)]


def whole(line: SlaveLine, address: int = 1) -> bytes:
    """An undamaged answer."""
    return line.bank[address].frame(Block.LIVE) + ack(address, 0x1620)


@pytest.mark.parametrize("kind", ["noise", "flip", "drop", "torn", "late", "silent"])
def test_chance_is_repeatable_by_seed(kind: str) -> None:
    rate = "0.01" if kind in {"noise", "flip", "drop"} else "0.5"
    assert answers(fast(f"{kind}:rate={rate}"), 40) == answers(
        fast(f"{kind}:rate={rate}"), 40
    )
    if kind != "late":
        other = answers(fast(f"{kind}:rate={rate}", seed=2), 40)
        assert answers(fast(f"{kind}:rate={rate}"), 40) != other


def test_noise_adds_bytes_around_and_inside_and_loses_none() -> None:
    line = fast("noise:rate=0.01:around=4")
    longer = [len(answer) - 308 for answer in answers(line)]
    assert min(longer) >= 0
    assert 3 < sum(longer) / len(longer) < 12
    clean = whole(line)
    for answer in answers(line, 20):
        rest = iter(answer)
        assert all(byte in rest for byte in clean)


def test_noise_around_leaves_the_reply_whole() -> None:
    line = fast("noise:rate=0:around=9")
    found = answers(line, 50)
    assert all(whole(line) in answer for answer in found)
    assert len({len(answer) for answer in found}) > 5


def test_noise_can_come_by_itself() -> None:
    line = fast("noise:every=2:burst=5:around=0:rate=0")
    assert line.due() == 0.0
    assert line.collect(100.0) == []
    heard = list(pieces(line, 110.0))
    assert [time for time, _ in heard] == [102.0, 104.0, 106.0, 108.0, 110.0]
    assert {len(piece) for _, piece in heard} == {5}


def test_noise_by_itself_collides_with_a_reply() -> None:
    line = SlaveLine(
        Bank.default(still=True), faults=[Noise(every=1.0, burst=3, rate=0, around=0)]
    )
    line.collect(0.0)
    line.receive(trigger(1), 0.98)
    answer = b"".join(piece for _, piece in pieces(line, 1.5))
    assert len(answer) == 308
    assert answer != whole(line)


def test_flipped_bits_keep_the_length() -> None:
    line = fast("flip:rate=0.01")
    found = answers(line)
    assert {len(answer) for answer in found} == {308}
    flipped = [
        (wrong ^ right).bit_count()
        for answer in found
        for wrong, right in zip(answer, whole(line), strict=True)
        if wrong != right
    ]
    assert set(flipped) == {1}
    assert 2 < len(flipped) / len(found) < 4.5


def test_dropped_bytes_shorten_replies() -> None:
    missing = [308 - len(answer) for answer in answers(fast("drop:rate=0.01"))]
    assert min(missing) >= 0
    assert 2 < sum(missing) / len(missing) < 4.5


def test_torn_replies_are_a_beginning_or_an_end() -> None:
    line = fast("torn:rate=1")
    clean = whole(line)
    found = answers(line)
    assert all(0 < len(answer) < 308 for answer in found)
    beginnings = [clean.startswith(answer) for answer in found]
    assert all(
        start or clean.endswith(answer)
        for start, answer in zip(beginnings, found, strict=True)
    )
    assert 0.3 < sum(beginnings) / len(found) < 0.7


def test_a_single_byte_cannot_be_torn() -> None:
    reply = Reply(address=1, data=b"x")
    Torn(rate=1).shape(reply)
    assert reply.data == b"x"


def test_late_answers_come_when_they_come() -> None:
    line = fast("late:rate=1:delay=0.6")
    answer, end = ask_timed(line, trigger(1), 10.0)
    assert answer == whole(line)
    assert end == pytest.approx(10.6)


def test_missing_answers_were_heard_all_the_same() -> None:
    line = fast("silent:rate=0.5")
    found = answers(line)
    lost = found.count(b"")
    assert 70 < lost < 130
    assert line.counters.withheld == lost
    assert line.counters.heard == 200


def test_faults_can_be_combined() -> None:
    line = fast("silent:rate=1", "torn:rate=1", "noise")
    assert answers(line, 20) == [b""] * 20


def test_a_fault_can_concern_one_pack_alone() -> None:
    line = fast("silent:rate=1:address=2")
    assert answers(line, 3, address=2) == [b""] * 3
    assert answers(line, 3, address=1) == [whole(line)] * 3


@pytest.mark.parametrize("block", list(Block))
def test_one_block_may_never_be_told(block: Block) -> None:
    line = fast(f"withhold:address=1:block={block.name.lower()}")
    registers = {Block.SETTINGS: 0x161E, Block.LIVE: 0x1620, Block.DEVICE: 0x161C}
    now = 0.0
    for address in (1, 2):
        for other, register in registers.items():
            told = not (address == 1 and other is block)
            for request in (trigger(address, register), read(address, other.base, 2)):
                now += 1
                assert bool(ask(line, request, now)) is told
    # Writing to it is another matter, and so is what belongs to none.
    assert ask(line, write(1, 0x1000, bytes(4)), now + 1)
    assert ask(line, trigger(1, 0x1622), now + 2)


@pytest.mark.parametrize(
    ("text", "before", "after"), [("padding", 1, 1), ("padding:before=0:after=3", 0, 3)]
)
def test_padding_stands_around_the_ack(text: str, before: int, after: int) -> None:
    line = fast(text)
    frame = line.bank[1].frame(Block.LIVE)
    assert answers(line, 1) == [frame + bytes(before) + ack(1, 0x1620) + bytes(after)]


@pytest.mark.parametrize(("text", "length"), [("echo", 11), ("echo:most=5", 5)])
@pytest.mark.parametrize("speed", Speed)
def test_an_echo_comes_before_the_reply_and_harms_nothing(
    text: str, length: int, speed: Speed
) -> None:
    line = SlaveLine(Bank.default(still=True), speed=speed, faults=[parse_fault(text)])
    assert ask(line, trigger(1)) == trigger(1)[:length] + whole(line)
    assert ask(line, trigger(9), 1.0) == trigger(9)[:length]


@pytest.mark.parametrize("speed", Speed)
def test_two_packs_of_one_address_answer_at_once(speed: Speed) -> None:
    line = SlaveLine(
        Bank.default(range(1, 4), still=True),
        speed=speed,
        faults=[parse_fault("duplicate:address=2")],
    )
    assert [pack.address for pack in line.bank] == [1, 2, 3, 2]
    assert len({pack.serial for pack in line.bank}) == 4
    answer = ask(line, trigger(2))
    assert len(answer) == 308
    # What both say alike survives.
    assert answer[:5] == b"\x55\xaa\xeb\x90\x02"
    assert answer != whole(line, 2)
    assert line.counters.collisions == 1
    assert ask(line, trigger(1), 1.0) == whole(line)


def test_the_first_pack_is_the_one_that_gets_a_double() -> None:
    assert [pack.address for pack in fast("duplicate").bank] == [1, 2, 3, 1]


def test_a_double_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="no pack has address 9"):
        fast("duplicate:address=9")


def test_a_pack_vanishes_and_returns() -> None:
    line = fast("vanish:address=2:after=10:length=30")
    heard = {
        second: bool(ask(line, trigger(2), 1000.0 + second))
        for second in (0, 9, 11, 39, 41, 100)
    }
    assert heard == {0: True, 9: True, 11: False, 39: False, 41: True, 100: True}
    assert ask(line, trigger(1), 1200.0)
    assert line.counters.absent == 2


def test_a_pack_vanishes_again_and_again() -> None:
    line = fast("vanish:after=5:length=2:every=10")
    gone = [second for second in range(30) if not ask(line, trigger(1), float(second))]
    assert gone == [5, 6, 15, 16, 25, 26]


def test_a_pack_warns_for_a_while() -> None:
    line = fast("alarm:address=2:bit=4:after=10:length=30:every=100")
    line.bank[2].set("alarms", 1 << 20)
    alarms = {}
    for second in (0, 11, 39, 41, 111, 141):
        for pack in (1, 2):
            ask(line, trigger(pack), 1000.0 + second)
        alarms[second] = [line.bank[pack].get("alarms") for pack in (1, 2)]
    on, off = [0, 1 << 20 | 1 << 4], [0, 1 << 20]
    assert alarms == {0: off, 11: on, 39: on, 41: off, 111: on, 141: off}


@pytest.mark.parametrize("mode", Writing)
def test_packs_can_be_told_how_to_treat_writes(mode: Writing) -> None:
    line = fast(f"writes:mode={mode}:address=1")
    assert [pack.writing for pack in line.bank] == [
        mode,
        Writing.NORMAL,
        Writing.NORMAL,
    ]


def test_an_ignored_write_is_acknowledged_and_not_stored() -> None:
    line = fast("writes")
    assert ask(line, write(1, 0x1070, bytes(4))) == ack(1, 0x1070, 2)
    assert line.bank[1].get("charge_switch") == 1
    assert line.bank[1].journal[0].outcome == "ignored"


def test_a_repeated_reply_brings_its_ack_twice() -> None:
    line = fast("repeat:rate=1")
    assert answers(line, 1) == [whole(line) + ack(1, 0x1620)]


def test_a_strangers_reply_is_signed_by_another_pack() -> None:
    line = fast("stranger:rate=1")
    assert answers(line, 1) == [line.bank[1].frame(Block.LIVE) + ack(0, 0x1620)]
    assert ask(line, write(1, 0x1078, bytes(4))) == ack(0, 0x1078, 2)
    assert ask(line, write(1, 0x1078, (7).to_bytes(4))) == refusal(0, 0x10, 3)
    assert answers(fast("stranger:rate=0"), 1) == [whole(line)]


def test_a_stranger_has_nothing_to_sign_where_the_end_of_a_reply_is_torn() -> None:
    line = fast("torn:rate=1", "stranger:rate=1")
    for said in answers(line):
        assert len(said) < len(whole(line))


@pytest.mark.parametrize("forgets", [0, 1])
def test_a_power_cut_follows_a_write_and_may_undo_it(forgets: int) -> None:
    line = fast(f"powercut:address=1:length=5:forgets={forgets}")
    pack = line.bank[1]
    assert ask(line, trigger(1), 0.0) == whole(line)
    assert ask(line, write(1, 0x1070, bytes(4)), 1.0) == ack(1, 0x1070, 2)
    assert ask(line, trigger(1), 2.0) == b""
    assert ask(line, trigger(2), 2.5) == whole(line, 2)
    assert ask(line, trigger(1), 7.0) == whole(line)
    assert pack.get("charge_switch") == pack.get("charge_mos") == forgets
    # It happens once.
    assert ask(line, write(1, 0x1074, bytes(4)), 8.0) == ack(1, 0x1074, 2)
    assert ask(line, trigger(1), 9.0) == whole(line)
    assert pack.get("discharge_switch") == 0


def test_outages_are_left_to_the_server() -> None:
    line = fast("close:after=1:length=2", "mute")
    assert line.faults == (Close(after=1.0, length=2.0), Mute())
    assert answers(line, 3) == [whole(line)] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_named_without_parameters(kind: str) -> None:
    assert type(parse_fault(kind)) is KINDS[kind]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fire", "no fault is called 'fire'; there are noise, "),
        ("noise:volume=3", "noise takes address=VALUE, rate=VALUE, "),
        ("noise:rate", "not 'rate'"),
        ("noise:rate=much", "'much' is no value for rate of noise"),
        ("writes:mode=forget", "'forget' is no value for mode of writes"),
        ("withhold:block=7", "'7' is no value for block of withhold"),
    ],
)
def test_a_fault_that_cannot_be_understood_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_fault(text)


def test_a_pack_is_readdressed_while_it_runs() -> None:
    line = fast("readdress:address=2:to=7:after=5")
    assert line.due() == 0.0
    assert list(pieces(line, 104.0)) == []
    line = fast("readdress:address=2:to=7:after=5")
    pack = line.bank[2]
    line.collect(100.0)
    assert line.due() == 105.0
    assert len(ask_until(line, trigger(2), 104.9)) == 308
    line.collect(105.0)
    assert line.due() is None
    assert line.bank[7] is pack
    assert ask(line, trigger(2), 106.0) == b""
    assert ask(line, trigger(7), 107.0)[-8:] == ack(7, 0x1620)
    assert pack.get("device_address") == 7


def ask_until(line: SlaveLine, request: bytes, now: float) -> bytes:
    """What comes back at once for a request."""
    line.receive(request, now)
    return b"".join(line.collect(now))


def test_the_first_pack_is_readdressed_if_none_is_named() -> None:
    line = fast("readdress:after=0")
    line.collect(0.0)
    assert line.bank.addresses == [2, 3, 15]
    with pytest.raises(ValueError, match="readdress: no pack has address 9"):
        fast("readdress:address=9")
