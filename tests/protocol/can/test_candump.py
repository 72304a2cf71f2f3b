"""`scripts/decode --protocol can`: lines of candump into lines of JSON."""

import json
from pathlib import Path
import subprocess
from typing import Any, Final

import pytest

from custom_components.jkbms.protocol.can.message import CanMessage
from scripts.lib.candump import Dump, Skipped, parse
from scripts.lib.decode import main

from ...captures import can_messages
from .bus import Pack
from .test_bank import GROWATT, PYLON
from .test_frames import KEYS

COMMAND: Final = Path(__file__).parents[3] / "scripts" / "decode"
FIRST: Final = CanMessage(0x2F4, bytes.fromhex("1302b20f51000000"), False)
EXTENDED: Final = CanMessage(0x18F128F4, bytes.fromhex("e108f00a6b802300"), True)


def lines(text: str) -> list[dict[str, Any]]:
    return list(Dump.read(text).lines())


def dumped(messages: list[CanMessage]) -> str:
    """Write messages as `candump -l` does."""
    return "\n".join(
        f"(1700000000.{n:06}) can0 {m.id:0{8 if m.extended else 3}X}#{m.data.hex()}"
        for n, m in enumerate(messages)
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("(1436509052.249713) can0 2F4#1302b20f51000000", FIRST),
        ("(1436509052.249713) vcan0 18F128F4#E108F00A6B802300", EXTENDED),
        ("2F4#1302b20f51000000", FIRST),
        ("(1.5) can0 2F4#1302B20F51000000 R", FIRST),
        ("  can0  2F4   [8]  13 02 B2 0F 51 00 00 00", FIRST),
        ("  can0  18F128F4   [8]  E1 08 F0 0A 6B 80 23 00", EXTENDED),
        (" (000.100)  can0  2F4   [8]  13 02 b2 0f 51 00 00 00   '...Q....'", FIRST),
        (" (2025-07-10 12:00:00.1)  can0  RX - -  2F4   [8]  13 02 B2 0F 51 00 00 00", FIRST),
        ("can0 7E8 [0]", CanMessage(0x7E8, b"", False)),
        ("can0 7E8#", CanMessage(0x7E8, b"", False)),
    ],
)  # fmt: skip
def test_a_line_of_candump_is_a_message(line: str, message: CanMessage) -> None:
    assert parse(line) == message


@pytest.mark.parametrize(
    ("line", "readable"),
    [
        ("  can0  18F528F4   [8]  remote request", True),
        ("can0 2F4#R8", True),
        ("can0 2F4#R", True),
        ("  can0  20000080   [8]  00 00 00 00 00 00 00 00   ERRORFRAME", True),
        ("(1.0) can0 20000004#0004000000000000", True),
        ("(1.0) can0 2F4##0112233", False),
        ("can0 2F4#130", False),
        ("can0 FFFFFFFF#00", True),
        ("can0 80000001#00", False),
        ("can0  2F4   [8]  13 02", False),
        ("can0  2F4   [2]  13 0G", False),
        ("something else", False),
        ("55 AA EB 90", False),
    ],
)
def test_what_is_no_data_frame_is_skipped(line: str, readable: bool) -> None:
    assert parse(line) == Skipped(readable)


def test_a_message_has_address_layout_and_values() -> None:
    text = dumped([FIRST, EXTENDED, CanMessage(0x7E8, b"\1\2", False)])
    assert lines(text) == [
        {
            "type": "can",
            "address": 0,
            "layout": "native_v2",
            "id": "2F4",
            "message": "BATT_ST1",
            "values": {
                "bms_total_voltage": 53.1,
                "current": 1.8,
                "state_of_charge": 81,
            },
        },
        {
            "type": "can",
            "address": 0,
            "layout": "native_v2",
            "id": "18F128F4",
            "message": "BATT_ST2",
            "values": {
                "capacity_remaining": 227.3,
                "full_charge_capacity": 280.0,
                "cycle_capacity_counter": 3287.5,
                "total_charging_cycle_capacity": 9841.1,
                "charging_cycles": 35,
            },
        },
        {"type": "discarded", "id": "7E8", "bytes": 2},
    ]


def test_the_sign_of_a_current_is_told_by_the_version_or_not_at_all() -> None:
    (line,) = lines(dumped([FIRST]))
    assert (line["layout"], line["values"]["current"]) == (None, None)
    many = lines(dumped([FIRST] * 30))
    assert (many[0]["layout"], many[0]["values"]["current"]) == ("native_v1", -1.8)
    (first, _) = lines(dumped([FIRST, EXTENDED]))
    assert (first["layout"], first["values"]["current"]) == ("native_v2", 1.8)


def test_alarms_are_named() -> None:
    fault = CanMessage(0x18F328F4, bytes.fromhex("1200000000000000"), True)
    (line,) = lines(dumped([fault]))
    assert line["values"] == {
        "alarms": ["alarm_mos_overtemperature", "alarm_cell_overvoltage"],
        "alarm_bitmask": 0x12,
    }


def test_a_bank_has_no_address_and_the_units_of_its_dialect() -> None:
    messages = [CanMessage(c, bytes.fromhex(d), False) for c, d in PYLON.items()]
    told = {line["id"]: line for line in lines(dumped(messages))}
    assert {line["layout"] for line in told.values()} == {"pylon"}
    assert not any("address" in line for line in told.values())
    assert told["370"]["values"]["max_temperature"] == 30
    warned = CanMessage(0x359, bytes.fromhex("0000020801504E00"), False)
    (*_, line) = lines(dumped([*messages, warned]))
    assert line["values"]["warnings"] == [
        "alarm_battery_overvoltage",
        "alarm_internal_communication",
    ]
    messages = [CanMessage(c, bytes.fromhex(d), False) for c, d in GROWATT.items()]
    told = {line["id"]: line for line in lines(dumped(messages))}
    assert told["313"]["values"]["current"] == 12.3
    assert "growatt_state" not in told["311"]["values"]


def test_what_is_too_short_or_of_no_dialect_is_told_so() -> None:
    short = CanMessage(0x351, b"\1\2", False)
    (line,) = lines(dumped([short]))
    assert (line["layout"], line["values"]) == (None, {})
    pylon = CanMessage(0x359, bytes(8), False)
    (line, _) = lines(dumped([short, pylon]))
    assert line == {"type": "discarded", "id": "351", "bytes": 2}
    (line,) = lines(dumped([CanMessage(0x2F4, b"\1", False)]))
    assert line == {"type": "discarded", "id": "2F4", "bytes": 1}


@pytest.mark.parametrize("capture", can_messages(), ids=lambda capture: capture.id)
def test_every_capture_is_told_in_plain_json(capture: Any) -> None:
    text = dumped([CanMessage(*message) for message in capture.messages])
    told = lines(text)
    assert len(told) == len(capture.messages)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    for line in told:
        assert line.get("values", {}).keys() <= KEYS | {"alarms", "warnings"}


def test_the_command_prints_lines_and_a_summary(tmp_path: Path) -> None:
    pack = Pack(address=2)
    messages = [m for step in range(1, 40) for m in pack.messages(step)]
    file = tmp_path / "capture.log"
    file.write_text(dumped(messages) + "\n\ncan0 2F4#R8\nnonsense\n", encoding="utf-8")
    result = subprocess.run(
        [COMMAND, "--protocol", "can", file],
        capture_output=True,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(told) == len(messages)
    assert result.stderr.decode() == (
        f"{len(messages)} messages: {len(messages)} can; 1 remote or error frames, "
        "1 unreadable lines skipped; addresses: 2\n"
    )


def test_an_empty_dump_was_read_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "empty"
    file.write_text("\n")
    assert main(["--protocol", "can", str(file)]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "0 messages: nothing; 0 remote or error frames, 0 unreadable lines skipped; "
        "addresses: none\n"
    )


@pytest.mark.parametrize(
    ("arguments", "content", "says"),
    [
        (("--raw",), b"", "--raw does not go with CAN"),
        ((), b"55 AA EB 90", "has no lines of candump"),
        ((), b"\xff\xfe2F4#00", "is no text"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_sentence(
    arguments: tuple[str, ...],
    content: bytes,
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "capture"
    file.write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        main(["--protocol", "can", *arguments, str(file)])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
