"""Enter installed packages under the versions that Home Assistant pins.

usage: VENV/bin/python scripts/lib/entered_as.py REQUIREMENTS PACKAGE...

For packages of which another release was installed on purpose: Home Assistant compares versions
at its start, and would fetch the pinned ones.
"""

from importlib.metadata import distribution
from pathlib import Path
import re
import sys


def enter(pins: str, package: str) -> None:
    """Rewrite the version in the metadata of a package that is pinned."""
    pin = re.search(rf"^{re.escape(package)}==(\S+)", pins, re.MULTILINE)
    if pin is None:
        return
    file = next(
        Path(str(one.locate()))
        for one in distribution(package).files or ()
        if one.name == "METADATA"
    )
    text = file.read_text(encoding="utf-8")
    file.write_text(
        re.sub(
            r"^Version: .*$", f"Version: {pin[1]}", text, count=1, flags=re.MULTILINE
        ),
        encoding="utf-8",
    )


def main() -> None:
    """Enter each package."""
    pins = Path(sys.argv[1]).read_text(encoding="utf-8")
    for package in sys.argv[2:]:
        enter(pins, package)


if __name__ == "__main__":
    main()
