"""A bank of packs on a CAN bus."""

from collections.abc import Iterable
from random import Random
from typing import Final

from ..bank import Bank
from ..faults import Fault
from ..line import Speed
from ..pack import Pack
from ..seeds import trios
from .bus import BITRATES, Bus
from .faults import join, suffer
from .inverter import SCRIPTS, Dialect, Inverter, InverterBank
from .native import ADDRESSES, KINDS, STANDARD_ADDRESSES, Name, NativePack
from .signals import Version

_INVERTER_CELLS: Final = 16


def default_bitrate(dialect: Dialect) -> int:
    """250 kbit/s for packs by themselves, 500 kbit/s towards inverters (can.md 0)."""
    return BITRATES[0] if dialect.native else BITRATES[1]


def parallel_bank(
    addresses: Iterable[int], *, seed: int = 0, still: bool = False
) -> Bank:
    """A bank that can be one battery: all its packs have 16 cells."""
    kinds = [
        trio
        for trio in trios()
        if Pack(trio, 0, still=True).cell_count == _INVERTER_CELLS
    ]
    return Bank(
        Pack(kinds[place % len(kinds)], address, seed=seed, still=still)
        for place, address in enumerate(addresses)
    )


class CanBus(Bus):
    """Packs that speak for themselves, or one of them for all to an inverter."""

    def __init__(
        self,
        bank: Bank,
        dialect: Dialect = Dialect.NATIVE,
        *,
        bitrate: int | None = None,
        speed: Speed = Speed.WIRE,
        seed: int = 0,
        faults: Iterable[Fault] = (),
        inverter: bool = False,
        patience: float | None = None,
        unasked: float | None = None,
    ) -> None:
        """Connect a bank, and an inverter if there is one.

        Patience and unasked are those of `InverterBank`, in seconds.  Raises
        ValueError with a sentence for what no bus can be.
        """
        super().__init__(
            bitrate=default_bitrate(dialect) if bitrate is None else bitrate,
            speed=speed,
            faults=tuple(faults),
        )
        self.bank = bank
        self.dialect = dialect
        suffer(self, seed, bank)
        if wrong := {*bank.addresses} - {*ADDRESSES}:
            raise ValueError(f"CAN has no ids for address {min(wrong)}")
        if not dialect.native:
            speaker = InverterBank(
                bank,
                SCRIPTS[dialect],
                faults=self.faults,
                patience=patience,
                unasked=unasked,
            )
            self.join(speaker)
            if inverter:
                self.join(Inverter(dialect))
        elif inverter or patience is not None or unasked is not None:
            raise ValueError(f"{dialect} is not spoken with inverters")
        else:
            self._join_packs(seed)
        join(self)

    def _join_packs(self, seed: int) -> None:
        version = Version.V1 if self.dialect is Dialect.NATIVE_V1 else Version.V2
        for place, pack in enumerate(self.bank):
            random = Random(f"{seed}/{place}/{pack.number}")
            self.join(
                NativePack(pack, version=version, faults=self.faults, random=random)
            )

    @property
    def ids(self) -> list[tuple[int, bool]]:
        """Every id that the bank uses, whether it has 29 bits too."""
        if not self.dialect.native:
            return [(can_id, False) for can_id in SCRIPTS[self.dialect].frames]
        found = []
        for address in self.bank.addresses:
            for name, kind in KINDS.items():
                if kind.extended and self.dialect is Dialect.NATIVE_V1:
                    continue
                if not kind.extended and address not in STANDARD_ADDRESSES:
                    continue
                places = 7 if name is Name.CELLVOL else 1
                found += [
                    (kind.id + place * 0x10000 + address, kind.extended)
                    for place in range(places)
                ]
        return found
