"""Run a command in a network of its own, on Linux: loopback, one dead interface, no way out.

usage: python scripts/lib/own_network.py COMMAND [ARGUMENT...]

Exits with 1 before it runs anything where this is not to be had.
"""

import os
from pathlib import Path
import shutil
import socket
import struct
import subprocess
import sys
from typing import Final

_SET_FLAGS: Final = 0x8914
"""SIOCSIFFLAGS of <linux/sockios.h>."""
_UP: Final = 0x1

_DEAD_INTERFACE: Final = (
    ("addr", "add", "192.0.2.1/24", "dev", "dead0"),
    ("link", "set", "dead0", "up"),
    ("route", "add", "default", "via", "192.0.2.254", "dev", "dead0"),
)
"""With loopback alone Home Assistant finds no adapter for mDNS and complains. The addresses are for documentation."""


def leave_network() -> None:
    """Put this process into an empty network; raises OSError where that is not allowed."""
    if sys.platform != "linux":
        raise OSError("only Linux has network namespaces")
    try:
        os.unshare(os.CLONE_NEWNET)
    except PermissionError:
        user, group = os.getuid(), os.getgid()
        os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)
        # Only a mapped root keeps its rights over the new network when it runs `ip`.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def raise_loopback() -> None:
    """Switch loopback on, which needs no tool of the system."""
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415 - other systems need not have it

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            request = struct.pack("16sh14x", b"lo", _UP)
            fcntl.ioctl(any_socket, _SET_FLAGS, request)


def add_dead_interface() -> None:
    """Give the network one interface that leads nowhere, if `ip` is there and can."""
    ip = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if ip is None:
        return
    for kind in ("dummy", "veth", "ifb"):
        if _run(ip, "link", "add", "dead0", "type", kind):
            break
    else:
        return
    for arguments in _DEAD_INTERFACE:
        _run(ip, *arguments)


def _run(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def main() -> None:
    """Leave the network, then become the command."""
    try:
        leave_network()
        raise_loopback()
    except OSError as error:
        sys.exit(f"no network of its own here: {error}")
    add_dead_interface()
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
