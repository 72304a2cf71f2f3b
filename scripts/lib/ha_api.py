"""Home Assistant as it is reached from outside: its REST and WebSocket interfaces."""

import asyncio
import time
from typing import Any, Final

import aiohttp

from .processes import DemoError

_START: Final = 120.0
"""Seconds for the first start on a slow machine; a fast one takes four."""
_IDLE: Final = 20.0
"""Seconds without a command after which a new connection is made: Home Assistant hangs up on who does not answer its pings."""


class HomeAssistant:
    """One that listens on this machine."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        """Nothing is asked yet."""
        self._session = session
        self._url = url
        self._client = f"{url}/"
        self._token = ""
        self._asking = asyncio.Lock()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._count = 0
        self._asked = 0.0

    async def answers(self) -> None:
        """Return when it can be talked to."""
        end = time.monotonic() + _START
        while True:
            try:
                async with self._session.get(f"{self._url}/api/onboarding") as answer:
                    if answer.status in (200, 404):  # 404: everything is done already
                        return
            except aiohttp.ClientError:
                pass
            if time.monotonic() > end:
                raise DemoError(
                    f"Home Assistant does not answer after {_START:g} seconds."
                )
            await asyncio.sleep(0.1)

    async def runs(self) -> None:
        """Return when everything is set up."""
        while (await self.get("/api/config"))["state"] != "RUNNING":
            await asyncio.sleep(0.1)

    async def onboard(self, name: str, user: str, password: str) -> None:
        """Create the owner and log in."""
        answer = await self.post(
            "/api/onboarding/users",
            {
                "client_id": self._client,
                "name": name,
                "username": user,
                "password": password,
                "language": "en",
            },
        )
        await self._take_code(answer["auth_code"])

    async def log_in(self, user: str, password: str) -> None:
        """Log in as somebody who is known already."""
        flow = await self.post(
            "/auth/login_flow",
            {
                "client_id": self._client,
                "handler": ["homeassistant", None],
                "redirect_uri": self._client,
            },
        )
        answer = await self.post(
            f"/auth/login_flow/{flow['flow_id']}",
            {"client_id": self._client, "username": user, "password": password},
        )
        if answer["type"] != "create_entry":
            raise DemoError(f"Home Assistant does not let {user} in.")
        await self._take_code(answer["result"])

    async def _take_code(self, code: str) -> None:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": self._client,
        }
        async with self._session.post(f"{self._url}/auth/token", data=form) as token:
            token.raise_for_status()
            self._token = (await token.json())["access_token"]

    async def get(self, path: str) -> Any:
        """Read a resource."""
        return await self._request("GET", path, None)

    async def delete(self, path: str) -> Any:
        """Remove a resource."""
        return await self._request("DELETE", path, None)

    async def post(self, path: str, body: Any) -> Any:
        """Change a resource."""
        return await self._request("POST", path, body)

    async def command(self, kind: str, **arguments: Any) -> Any:
        """Return the result of a WebSocket command; one waits for the other."""
        async with self._asking:
            return await self._command(kind, arguments)

    async def _command(self, kind: str, arguments: dict[str, Any]) -> Any:
        if time.monotonic() > self._asked + _IDLE:
            await self.close()
        if self._socket is None or self._socket.closed:
            self._socket = await self._session.ws_connect(
                f"{self._url}/api/websocket", max_msg_size=0
            )
            await self._socket.receive_json()
            await self._socket.send_json({"type": "auth", "access_token": self._token})
            await self._socket.receive_json()
        self._count += 1
        await self._socket.send_json({"id": self._count, "type": kind, **arguments})
        while True:
            message = await self._socket.receive_json()
            if message.get("id") != self._count:
                continue
            self._asked = time.monotonic()
            if not message["success"]:
                raise DemoError(
                    f"Home Assistant refused {kind}: {message['error']['message']}"
                )
            return message["result"]

    async def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            await self._socket.close()

    async def _request(self, method: str, path: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with self._session.request(
            method, self._url + path, json=body, headers=headers
        ) as answer:
            if answer.status >= 400:
                raise DemoError(
                    f"Home Assistant refused {method} {path}: {answer.status} {await answer.text()}"
                )
            return await answer.json()
