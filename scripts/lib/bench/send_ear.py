"""Notes when each frame arrives at a gateway; a process of its own, so that nobody here delays it."""

import json
import socket
import sys
import time
from typing import Final

_SIZE: Final = 13


def main() -> None:
    """Take one connection; print the port first, and id and time of each frame at its end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(json.dumps({"port": server.getsockname()[1]}), flush=True)
        connection, _ = server.accept()
        heard: list[tuple[int, float]] = []
        rest = b""
        with connection:
            while data := connection.recv(4096):
                now = time.monotonic()
                rest += data
                while len(rest) >= _SIZE:
                    heard.append((int.from_bytes(rest[1:5]), now))
                    rest = rest[_SIZE:]
    json.dump(heard, sys.stdout)


if __name__ == "__main__":
    main()
