"""A mail server for tests."""

from __future__ import annotations

import asyncio
import threading


class Mailbox:
    """An SMTP server on loopback that keeps what it is given (RFC 5321, the commands that Django's client sends)."""

    def __init__(self, refuse: bool = False) -> None:
        self.refuse, self.port = refuse, 0
        self.kept: list[bytes] = []
        self._loop, self._ready = asyncio.new_event_loop(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        async def start() -> None:
            self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
            self.port = self._server.sockets[0].getsockname()[1]
            self._ready.set()

        self._loop.run_until_complete(start())
        self._loop.run_forever()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        await say("220 mailbox")
        while line := await reader.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                await say("354 go on")
                self.kept.append((await reader.readuntil(b"\r\n.\r\n"))[:-3])
                await say("250 kept")
            elif word == b"QUIT":
                await say("221 bye")
                writer.close()
                return
            else:
                await say("550 no such user" if self.refuse and word == b"RCPT" else "250 ok")

    def __enter__(self) -> Mailbox:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
