"""What is to be written on a bus, from the wish to how it ended."""

from collections.abc import Iterable, Iterator
from typing import assert_never

from .budget import WriteBudget
from .commands import ClockJob, Command, EmergencyJob, SetClock, StartEmergency
from .settings_job import SettingsJob, Transaction
from .state import BmsState
from .station import Settled, Written
from .write_job import Takes, WriteJob, can_have
from .writing import Change

type Job = WriteJob | ClockJob | EmergencyJob | SettingsJob
type Wish = Change | Command | Transaction


def job_of(
    wish: Wish, state: BmsState, budget: WriteBudget, takes: Takes = can_have
) -> Job:
    """Return the work that a wish is, given what is known of the BMS."""
    layout, firmware, known = state.layout, state.firmware, frozenset(state.seen)
    match wish:
        case Change():
            return WriteJob(
                wish,
                layout,
                firmware,
                known=wish.field.block in known,
                budget=budget,
                takes=takes,
            )
        case Transaction():
            return SettingsJob(
                wish, layout, firmware, known=known, budget=budget, takes=takes
            )
        case SetClock():
            return ClockJob(wish, layout, firmware)
        case StartEmergency():
            return EmergencyJob(wish, layout, firmware)
        case _:
            assert_never(wish)


def oldest_of_each(jobs: Iterable[Job]) -> list[Job]:
    """Return the oldest change of each BMS: the next one waits for its proof."""
    first: dict[int, Job] = {}
    for job in jobs:
        first.setdefault(job.address, job)
    return list(first.values())


def ends(jobs: Iterable[Job]) -> Iterator[Written | Settled]:
    """End jobs and tell how they ended, or how far they came."""
    for job in jobs:
        match job:
            case SettingsJob():
                yield Settled(job.transaction, job.abandon())
            case WriteJob():
                yield Written(job.change, job.abandon())
            case _:
                yield Written(job.command, job.abandon())
