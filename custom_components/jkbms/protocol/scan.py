"""Who answers on a bus: every address asked twice, then what answered is read."""

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .datum import BLOCK_OF_TYPE, Block
from .fields import MAX_ADDRESS
from .frames import Request, trigger
from .line import Answered, Foreign, Late, Line, LineEvent, Missing, Traffic, Unanswered
from .modbus_map import BlockRead, Reach
from .pacing import NETWORK, Patience, Timing
from .state import BmsState
from .survey import Finding, diagnose

_QUIET: Final = 0.100
_NEVER_QUIET: Final = 3.0
"""A line on which somebody talks without a pause for so long cannot be asked."""
_READS: Final = 3
_KEPT: Final = 4096
_MBAP_WAIT: Final = 2.0
_MBAP_PROBE: Final = bytes.fromhex("4a4b 0000 0006 01 03 1290 0002")
"""A Modbus TCP read; on a transparent gateway its CRC is wrong and nobody answers."""


@dataclass(frozen=True, slots=True)
class ScanStep:
    """What to do now, and how far the scan has come."""

    send: bytes
    wake: float
    done: bool
    progress: float
    """0 to 1."""
    afresh: bool = False
    """Whether to open the line anew before sending.

    A gateway that converts may still chew on requests that it could not read.
    """


@dataclass(frozen=True, slots=True)
class _Task:
    address: int
    block: Block
    attempt: int = 1


class Scan:
    """Asks each address of the DIP switch; driven like the master, by `advance`."""

    def __init__(
        self,
        timing: Timing,
        now: float,
        addresses: Iterable[int] | None = None,
    ) -> None:
        """Start with every address to be asked.

        Where a line carries Modbus alone, address 0 is everybody and nobody answers.
        """
        first = int(timing.registers)
        self.found: dict[int, BmsState] = {}
        self._finding: Finding | None = None
        self._timing = timing
        self._addresses = tuple(
            range(first, MAX_ADDRESS + 1) if addresses is None else addresses
        )
        self._line = Line(timing, self._addresses)
        self._patience = Patience(timing)
        # The second round asks for settings: some firmware answers the live trigger
        # only after another one (rs485.md 8, quirk 10), and packs miss requests when
        # a bus starts up (quirk 11).
        self._second = Block.LIVE if timing.registers else Block.SETTINGS
        rounds = (Block.DEVICE if timing.registers else Block.LIVE, self._second)
        self._tasks = deque(
            _Task(address, block) for block in rounds for address in self._addresses
        )
        self._total = len(self._tasks)
        self._shown = 0.0
        self._task: _Task | None = None
        self._read: BlockRead | None = None
        """The block of that task, where it comes register by register."""
        self._reach: defaultdict[int, Reach] = defaultdict(Reach)
        self._heard = bytearray()
        self._started = now
        self._may_ask_since = now
        """Since when only the noise on the line keeps it from being asked."""
        self._gateway_asked: float | None = None
        self._gateway_answer = bytearray()

    @property
    def finding(self) -> Finding:
        """What the bus turned out to be; valid when the scan is done."""
        if self._finding is not None:
            return self._finding
        if self.found:
            return Finding.PACKS
        if self._timing.registers:
            # Only a gateway that converts answers such requests at all.
            return Finding.MODBUS_TCP if self._heard else Finding.SILENCE
        return diagnose(bytes(self._heard))

    def advance(self, now: float, data: bytes = b"") -> ScanStep:
        """Take in what was heard and return what to do."""
        if self._gateway_asked is not None:
            return self._await_gateway(self._gateway_asked, now, data)
        if data:
            self._heard += data
            del self._heard[:-_KEPT]
            for event in self._line.receive(data, now):
                self._handle(event, now)
        for event in self._line.tick(now):
            self._handle(event, now)
        if self._finding is not None:
            return self._step(now, b"", done=True)
        if self._line.busy:
            self._may_ask_since = now
            return self._step(now, b"")
        if self._read is None:
            self._skip_found()
        if not self._tasks and self._read is None:
            return self._finish(now)
        start = max(self._started, self._line.last_byte + _QUIET)
        if now < start:
            if now < self._may_ask_since + _NEVER_QUIET:
                return ScanStep(b"", start, False, self._progress)
            return self._step(now, b"", done=True)
        self._may_ask_since = now
        request = self._request() if self._read is None else self._read.request
        return self._step(now, self._line.send(request, now, self._patience.timeout))

    def _request(self) -> Request:
        """Return what the next task asks first."""
        self._task = task = self._tasks.popleft()
        if not self._timing.registers:
            return trigger(task.address, task.block)
        reach = self._reach[task.address]
        self._read = BlockRead(task.address, task.block, reach)
        return self._read.request

    @property
    def _progress(self) -> float:
        """Never falls, though what answers adds to what is left to do."""
        self._shown = max(self._shown, 1 - len(self._tasks) / self._total)
        return self._shown

    def _step(self, now: float, send: bytes, *, done: bool = False) -> ScanStep:
        deadline = self._line.deadline
        wake = now if done or deadline is None else max(now, deadline)
        return ScanStep(send, wake, done, 1.0 if done else self._progress)

    def _skip_found(self) -> None:
        """Leave out the second round for what has answered in the first.

        A gateway that says nothing of 15 absent packs says nothing the second time.
        """
        while self._tasks:
            task = self._tasks[0]
            if (
                self._timing.registers
                and not self._heard
                and task.block is self._second
            ):
                self._tasks.clear()
                return
            state = self.found.get(task.address)
            if state is None or task.block not in state.seen:
                return
            self._tasks.popleft()

    def _handle(self, event: LineEvent, now: float) -> None:
        if self._read is not None and not isinstance(event, Late | Foreign):
            whole = self._read.take(event)
            if whole is None:
                return
            self._read, event = None, whole
        task, self._task = self._task, None
        match event:
            case Foreign():
                self._finding = Finding.FOREIGN_MASTER
            case Answered(frame=frame, latency=latency) if task and frame:
                self._patience.took(latency)
                state = self.found.get(task.address) or BmsState()
                if state.take_frame(frame, BLOCK_OF_TYPE[frame.type], now) is None:
                    self._retry(task)
                elif task.address not in self.found:
                    self.found[task.address] = state
                    self._read_rest(task)
            case Unanswered(missing=missing) if task:
                # Bytes instead of an answer: somebody may be there after all.
                if missing is Missing.DAMAGED or task.address in self.found:
                    self._retry(task)
            case Late():
                self._task = task
            case _:
                pass

    def _read_rest(self, task: _Task) -> None:
        rest = [block for block in Block if block is not task.block]
        self._tasks.extendleft(_Task(task.address, block) for block in rest)
        self._total += len(rest)

    def _retry(self, task: _Task) -> None:
        if task.attempt < _READS:
            self._tasks.append(_Task(task.address, task.block, task.attempt + 1))
            self._total += 1

    def _finish(self, now: float) -> ScanStep:
        heard = self._line.traffic[Traffic.ANSWERS] or self.found
        if self._timing is not NETWORK or heard:
            return self._step(now, b"", done=True)
        self._gateway_asked = now
        return ScanStep(_MBAP_PROBE, now + _MBAP_WAIT, False, 1.0, afresh=True)

    def _await_gateway(self, asked: float, now: float, data: bytes) -> ScanStep:
        """Wait for the answer that only a translating gateway gives."""
        self._gateway_answer += data
        ends = asked + _MBAP_WAIT
        if self._gateway_answer.startswith(_MBAP_PROBE[:4]):
            self._finding = Finding.MODBUS_TCP
        return ScanStep(b"", ends, self._finding is not None or now >= ends, 1.0)
