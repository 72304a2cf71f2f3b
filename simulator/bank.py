"""All packs of one bus."""

from collections.abc import Iterable, Iterator
from itertools import cycle
from random import Random
from typing import Final

from .pack import Pack, Write
from .physics import DAY, resting_voltage
from .seeds import Trio, trios

_CHARGED: Final = 0.78
"""Of the capacity: what packs in parallel begin with."""
_SPREAD: Final = 4.0
"""Standard deviation in mV of the cells of one pack."""
_BALANCED_FROM: Final = 3340
"""mV of a cell at which such packs balance: exceeded while they are charged, not while they are discharged."""


class Bank:
    """Packs in the order of their addresses; two may share an address, as a fault."""

    def __init__(self, packs: Iterable[Pack]) -> None:
        """Put packs on a bus."""
        self.packs = list(packs)

    @classmethod
    def default(
        cls,
        addresses: Iterable[int] = range(1, 5),
        *,
        seed: int = 0,
        still: bool = False,
    ) -> Bank:
        """A bank that cycles through all captured kinds of packs."""
        return cls(
            Pack(trio, address, seed=seed, still=still)
            for address, trio in zip(addresses, cycle(trios()), strict=False)
        )

    @classmethod
    def alike(
        cls, addresses: Iterable[int], kind: Trio, *, seed: int = 0, day: float = DAY
    ) -> Bank:
        """Packs of one kind, as they are in parallel: what differs is what always differs a little.

        A day of sun and household takes so many seconds; the packs' own time does not run faster.
        """
        return cls(_alike(kind, address, seed, day) for address in addresses)

    def __getitem__(self, address: int) -> Pack:
        """The first pack with an address."""
        for pack in self.packs:
            if pack.address == address:
                return pack
        raise KeyError(address)

    def __iter__(self) -> Iterator[Pack]:
        """All packs."""
        return iter(self.packs)

    def __len__(self) -> int:
        """How many packs there are."""
        return len(self.packs)

    @property
    def addresses(self) -> list[int]:
        """The addresses in use, in order, each once."""
        return sorted({pack.address for pack in self.packs})

    @property
    def dangerous(self) -> list[tuple[int, Write]]:
        """Every dangerous write to any pack, with the pack's address: a good caller leaves this empty."""
        return [
            (pack.address, write) for pack in self.packs for write in pack.dangerous
        ]


def _alike(kind: Trio, address: int, seed: int, day: float) -> Pack:
    pack = Pack(kind, address, still=True)
    random = Random(f"{seed}/{address}/alike")
    full = pack.number_of("full_capacity")
    remaining = round(full * random.gauss(_CHARGED, 0.01))
    resting = resting_voltage(100 * remaining / full)
    pack.set("current", 0)
    pack.set("remaining_capacity", remaining)
    pack.set("cycled_capacity", round(full * random.uniform(120, 160)))
    pack.set("balance_start_voltage", _BALANCED_FROM)
    for cell in range(1, pack.cell_count + 1):
        pack.set(f"cell_voltage_{cell}", round(random.gauss(resting, _SPREAD)))
    for probe in ("temperature_1", "temperature_2", "mos_temperature"):
        pack.set(probe, pack.number_of(probe) + random.randint(-12, 12))
    pack.move(seed=seed, day=day)
    pack.settle()
    return pack
