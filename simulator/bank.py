"""All packs of one bus."""

from collections.abc import Iterable, Iterator
from itertools import cycle

from .pack import Pack, Write
from .seeds import trios


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
