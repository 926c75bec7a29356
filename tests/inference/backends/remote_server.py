"""A loopback server that speaks the protocol of model servers over real sockets, well or badly as a test asks."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Handler = BaseHTTPRequestHandler
Behaviour = Callable[[Handler], None]


class ModelServer:
    """Answers each path from a list of behaviours; the last one stays."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.gone = threading.Event()
        self.gone_at = 0.0
        self._behaviours: dict[str, list[Behaviour]] = {"/v1/models": [reply({"object": "list", "data": []})]}
        self._lock = threading.Lock()
        outer = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(raw) if raw else None
                with outer._lock:
                    if self.command == "POST":
                        outer.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                    listed = outer._behaviours.get(self.path, [reply({"error": {"message": "no route"}}, 404)])
                    behaviour = listed.pop(0) if len(listed) > 1 else listed[0]
                try:
                    behaviour(self)
                except (BrokenPipeError, ConnectionResetError):
                    outer.gone_at = time.monotonic()
                    outer.gone.set()

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                return

        class Listener(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request: Any, client_address: Any) -> None:
                return

        self._server = Listener(("127.0.0.1", port), Answering)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.requests]

    def on(self, path: str, *behaviours: Behaviour) -> None:
        """Answer `path` with these, in order."""
        self._behaviours[path] = list(behaviours)

    def chat(self, *behaviours: Behaviour) -> None:
        self.on("/v1/chat/completions", *behaviours)

    def until_gone(self, handler: Handler) -> None:
        """Wait until the client closes its connection."""
        readable, _, _ = select.select([handler.connection], [], [], 20)
        if readable and handler.connection.recv(1, socket.MSG_PEEK) == b"":
            self.gone_at = time.monotonic()
            self.gone.set()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def reply(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Behaviour:
    """One JSON object, or raw bytes."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()

    def behave(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)

    return behave


def begin_stream(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream; charset=utf-8")
    handler.send_header("Connection", "close")
    handler.close_connection = True
    handler.end_headers()


def blocks(*parts: bytes, pause_s: float = 0.0) -> Behaviour:
    """A stream of exactly these bytes, each block in a packet of its own where there is a pause."""

    def behave(handler: Handler) -> None:
        begin_stream(handler)
        for part in parts:
            handler.wfile.write(part)
            handler.wfile.flush()
            time.sleep(pause_s)

    return behave


def event(content: Any) -> bytes:
    return b"data: " + (content if isinstance(content, bytes) else json.dumps(content).encode()) + b"\n\n"


def delta(text: str | None = None, *, index: int = 0, finish: str | None = None, **more: Any) -> bytes:
    """A chunk of a chat stream."""
    choice = {"index": index, "delta": {} if text is None else {"content": text}, "finish_reason": finish, **more}
    return event({"object": "chat.completion.chunk", "choices": [choice], "usage": None})


def usage(prompt: int, completion: int, choices: Any = (), cached: int = 0) -> bytes:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion}
    kept = list(choices) if choices is not None else None
    return event({"choices": kept, "usage": counts | {"prompt_tokens_details": {"cached_tokens": cached}}})


DONE = event(b"[DONE]")


def answer(*texts: str, finish: str = "stop", prompt: int = 7, pause_s: float = 0.0) -> Behaviour:
    """A whole good stream."""
    parts: Sequence[bytes] = [
        event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}),
        *(delta(text) for text in texts),
        delta(finish=finish),
        usage(prompt, len(texts)),
        DONE,
    ]
    return blocks(*parts, pause_s=pause_s)


def hang(seconds: float = 30.0) -> Behaviour:
    """Accept the request and say nothing."""
    return lambda handler: time.sleep(seconds)


def drop(handler: Handler) -> None:
    """Close the connection without an answer."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)
