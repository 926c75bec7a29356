"""The way to one model server: one event loop in one thread, bounds, retries and a circuit breaker.

The HTTP transport is handed in (`EngineConfig.transport`): which hosts may be reached is decided outside the engine.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

from apps.inference.engine.backends.remote_breaker import Breaker
from apps.inference.engine.errors import (
    EngineError,
    ModelUnavailable,
    Overloaded,
    PromptTooLong,
    Unsupported,
)
from apps.inference.engine.types import EngineConfig, ModelSpec

T = TypeVar("T")

_RETRIED = frozenset({429, 502, 503, 504})
_FIRST_BACKOFF_S, _MAX_BACKOFF_S, _MAX_RETRY_AFTER_S = 0.25, 8.0, 30.0
_MAX_ERROR_BYTES = 65536
_MAX_HEALTH_BYTES = 4 << 20
_HEALTH_TIMEOUT_S = 5.0
_TOO_LONG = (
    "context_length_exceeded",
    "exceed_context_size",
    "prompt_too_long",
    "maximum context length",
    "maximum allowed length",
    "model's context length",
    "available context size",
    "must have less than",
)


class ServerFailure(ModelUnavailable):
    """The server did not answer as a model server does; counts against the breaker."""


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """`ModelSpec.options` of a remote model.

    `model` is the name the server knows it by ("" takes the entry's own), `api_key_env` names the setting that holds the
    key, `timeout_s` bounds each wait for more bytes, `connect_timeout_s` (5) the connection, `slots` (16) what runs at a
    time, `retries` (3) how often a request is sent again before its first answer.
    """

    model: str
    api_key_env: str
    timeout_s: float
    connect_timeout_s: float
    slots: int
    retries: int


def options_of(spec: ModelSpec, *, timeout_s: float) -> RemoteOptions:
    """Return the entry's options, `timeout_s` where it has none. Raises ModelUnavailable for values of no use."""
    given = spec.options
    try:
        options = RemoteOptions(
            model=str(given.get("model") or spec.name),
            api_key_env=str(given.get("api_key_env", "")),
            timeout_s=float(given.get("timeout_s", timeout_s)),
            connect_timeout_s=float(given.get("connect_timeout_s", 5.0)),
            slots=int(given.get("slots", 16)),
            retries=int(given.get("retries", 3)),
        )
    except (TypeError, ValueError) as error:
        raise ModelUnavailable(f"{spec.name}: an option is no number: {error}") from error
    if min(options.timeout_s, options.connect_timeout_s, options.slots) <= 0 or not 0 <= options.retries <= 10:
        raise ModelUnavailable(f"{spec.name}: timeouts and slots must be above 0, retries from 0 to 10")
    return options


class RemoteLink:
    """Sends requests of one model to its server."""

    def __init__(self, spec: ModelSpec, config: EngineConfig, *, health_path: str, timeout_s: float) -> None:
        self.name, self.options = spec.name, options_of(spec, timeout_s=timeout_s)
        self.breaker = Breaker(spec.name)
        self._spec, self._config, self._health_path = spec, config, health_path
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: httpx.AsyncClient | None = None

    def open(self) -> None:
        """Check the settings and start the thread; the server may be down. Raises ModelUnavailable."""
        base = _base_url(self._spec)
        if self._config.transport is None:
            raise ModelUnavailable(f"{self.name}: this process has no way to reach model servers")
        headers = {"accept-encoding": "identity", "user-agent": "nlpsuite/1.0 (+inference)"}
        name = self.options.api_key_env
        if name:
            key = self._config.secret(name) if self._config.secret is not None else ""
            if not key:
                raise ModelUnavailable(f"{self.name}: {name} holds no key; set it, or drop api_key_env")
            headers["authorization"] = f"Bearer {key}"
        wait_s, connect_s = self.options.timeout_s, self.options.connect_timeout_s
        self._client = httpx.AsyncClient(
            transport=self._config.transport(base),
            base_url=base,
            headers=headers,
            timeout=httpx.Timeout(connect=connect_s, read=wait_s, write=wait_s, pool=wait_s),
            follow_redirects=False,
            trust_env=False,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"remote-{self.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Cancel everything, close the connections and end the thread."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._loop = None

        async def shut() -> None:
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            if self._client is not None:
                await self._client.aclose()

        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(shut(), loop).result(3)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(3)
        if not thread.is_alive():
            loop.close()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the link's loop. Raises ModelUnavailable when the link is closed."""
        loop = self._loop
        if loop is None:
            work.close()
            raise ModelUnavailable(f"{self.name} is not running")
        return asyncio.run_coroutine_threadsafe(work, loop)

    def health(self) -> bool:
        """Return whether the server answers within 5 s. While the breaker is open, this may be its probe."""
        try:
            return self.submit(self._healthy()).result(_HEALTH_TIMEOUT_S + 1)
        except (EngineError, TimeoutError, CancelledError):
            return False

    def hung(self) -> None:
        """Tell the breaker of a request that got no answer at all before its deadline. Called on the loop."""
        # While it is open, only the probe can have been under way.
        self.breaker.failure(self.breaker.open)

    async def _healthy(self) -> bool:
        try:
            async with asyncio.timeout(_HEALTH_TIMEOUT_S), self._once("GET", self._health_path, None) as response:
                await read_all(response, _MAX_HEALTH_BYTES)
        except _TryAgain:
            return False
        except TimeoutError:
            self.hung()
            return False
        return True

    @asynccontextmanager
    async def exchange(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[httpx.Response]:
        """POST a body and give the answer of status 200, to be read inside; closing early closes the connection.

        Sends again, after a pause, what met a refused connection or 429, 502, 503, 504; never what has begun to answer.
        Raises ModelUnavailable, Overloaded, PromptTooLong, Unsupported.
        """
        attempt = 0
        while True:
            try:
                async with self._once("POST", path, body) as response:
                    yield response
                return
            except _TryAgain as again:
                if attempt >= self.options.retries:
                    raise again.error from again.cause
                pause_s = _pause_s(attempt, again.retry_after_s)
                if pause_s is None:
                    raise again.error from again.cause
            attempt += 1
            await asyncio.sleep(pause_s)

    @asynccontextmanager
    async def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> AsyncIterator[httpx.Response]:
        """Send one request, and tell the breaker how it went, the reading of the answer included."""
        client = self._client
        if client is None:
            raise ModelUnavailable(f"{self.name} is not running")
        probe = self.breaker.enter()
        settled = False
        try:
            response = await self._send(client, client.build_request(method, path, json=body))
            try:
                await self._check(response)
                yield response
            finally:
                await response.aclose()
            settled = True
            self.breaker.success()
        except (ServerFailure, _TryAgain) as error:
            # 429 says that the server is there.
            if isinstance(error, ServerFailure) or not isinstance(error.error, Overloaded):
                settled = True
                self.breaker.failure(probe)
            raise
        except httpx.HTTPError as error:
            settled = True
            self.breaker.failure(probe)
            raise ServerFailure(f"the server of {self.name} {_what(error)}") from error
        finally:
            if not settled:
                self.breaker.neutral(probe)

    async def _send(self, client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
        try:
            return await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.RemoteProtocolError) as error:
            # Also a kept connection that the server has just closed: nothing of an answer was there.
            raise _TryAgain(ServerFailure(f"the server of {self.name} {_what(error)}"), None, error) from error

    async def _check(self, response: httpx.Response) -> None:
        """Raise what a status other than 200 means."""
        status = response.status_code
        if status == 200:
            if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
                raise ServerFailure(f"the server of {self.name} answered in an encoding that was not asked for")
            return
        code, message, parameter = _error_body(await _start_of(response, _MAX_ERROR_BYTES))
        if status in _RETRIED:
            failed: EngineError = ServerFailure(f"the server of {self.name} answered {status}: {message}")
            if status == 429:
                failed = Overloaded(f"the server of {self.name} is busy")
            raise _TryAgain(failed, _retry_after_s(response.headers.get("retry-after", "")), None)
        if status in (400, 413, 422):
            if any(sign in f"{code} {message}".lower() for sign in _TOO_LONG):
                raise PromptTooLong(message)
            raise Unsupported(parameter, f"the server of {self.name} refuses the request: {message}")
        if status in (401, 403):
            raise ModelUnavailable(f"the server of {self.name} refuses the key ({status})")
        if status == 404:
            raise ModelUnavailable(f"the server of {self.name} has no model or route of that name: {message}")
        raise ServerFailure(f"the server of {self.name} answered {status}: {message}")


class _TryAgain(Exception):
    """An attempt that may be repeated; `error` is what the caller gets when it is not."""

    def __init__(self, error: EngineError, retry_after_s: float | None, cause: Exception | None) -> None:
        super().__init__(str(error))
        self.error, self.retry_after_s, self.cause = error, retry_after_s, cause


async def read_all(response: httpx.Response, max_bytes: int) -> bytes:
    """Return a body. Raises ServerFailure when it is larger than `max_bytes`."""
    body = bytearray()
    async for block in response.aiter_raw():
        body += block
        if len(body) > max_bytes:
            raise ServerFailure(f"the server sent more than {max_bytes} bytes")
    return bytes(body)


async def _start_of(response: httpx.Response, max_bytes: int) -> bytes:
    body = bytearray()
    with suppress(httpx.HTTPError):
        async for block in response.aiter_raw():
            body += block
            if len(body) >= max_bytes:
                break
    return bytes(body[:max_bytes])


def error_of(content: Any) -> tuple[str, str, str]:
    """Return (code, message, parameter) of an error object in the shapes of OpenAI, vLLM, TEI and llama.cpp."""
    if isinstance(content, dict):
        inner = content.get("error", content)
        if isinstance(inner, dict):
            code = inner.get("code") or inner.get("type") or ""
            return (
                f"{code} {inner.get('type') or ''}",
                str(inner.get("message") or "")[:300],
                str(inner.get("param") or ""),
            )
        return str(content.get("error_type") or ""), str(inner)[:300], ""
    return "", str(content)[:300], ""


def _error_body(raw: bytes) -> tuple[str, str, str]:
    try:
        return error_of(json.loads(raw))
    except (ValueError, RecursionError):
        return "", raw.decode("utf-8", "replace")[:200], ""


def _base_url(spec: ModelSpec) -> str:
    text = spec.source.removeprefix("remote:")
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise ModelUnavailable(f"{spec.name}: the source is no URL: {error}") from error
    if not spec.source.startswith("remote:") or url.scheme not in ("http", "https") or not url.host:
        raise ModelUnavailable(f"{spec.name}: the source must be remote:http(s)://<host>[:<port>][/<path>]")
    if url.userinfo or url.query or url.fragment:
        raise ModelUnavailable(f"{spec.name}: the source must be a plain URL; a key goes into api_key_env")
    return str(url).rstrip("/")


def _pause_s(attempt: int, retry_after_s: float | None) -> float | None:
    """Return how long to wait before the next attempt; None when the server asks for more than we would wait."""
    jitter_s = random.uniform(0, min(_MAX_BACKOFF_S, _FIRST_BACKOFF_S * 2**attempt))  # noqa: S311 - spreads load only
    if retry_after_s is None:
        return jitter_s
    return None if retry_after_s > _MAX_RETRY_AFTER_S else retry_after_s + jitter_s


def _retry_after_s(value: str) -> float | None:
    """Return the seconds of a Retry-After header, of either form; None without a readable one."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.fromtimestamp(time.time(), UTC)).total_seconds())


def _what(error: Exception) -> str:
    """Say what went wrong, for people who run the server."""
    if isinstance(error, httpx.ConnectTimeout):
        return "does not accept connections in time"
    if isinstance(error, httpx.ConnectError):
        return "cannot be connected to"
    if isinstance(error, httpx.TimeoutException):
        return "has stopped sending"
    if isinstance(error, httpx.RemoteProtocolError):
        return "broke off its answer"
    return f"failed: {type(error).__name__}"
