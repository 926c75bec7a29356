"""Text by the chat model, for the tasks that write."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from apps.inference.services import generate_stream, generation_permit
from apps.inference.types import GenerateRequest
from apps.translation.types import Call
from apps.usage.services.tokens import tokens_add, tokens_check

# Of one call at once: the engine computes them together, others get their turn.
_AT_ONCE = 4


def texts_write(call: Call, requests: Sequence[GenerateRequest]) -> list[list[str]]:
    """Return for each request its `n` texts.

    Errors:  Busy, DeadlineExceeded, Invalid "prompt_too_long", RateLimited "quota_exceeded", Unavailable.
    Effects: counts tokens against the organisation's day.
    """
    tokens_check(tenant_id=call.tenant_id)
    with generation_permit(tenant_id=call.tenant_id, key=str(uuid.uuid4()), deadline_s=call.left_s()):
        if len(requests) == 1:
            return [_write(call, requests[0])]
        with ThreadPoolExecutor(min(_AT_ONCE, len(requests)), thread_name_prefix="write") as pool:
            futures = [pool.submit(copy_context().run, _write, call, request) for request in requests]
            return [future.result() for future in futures]


def _write(call: Call, request: GenerateRequest) -> list[str]:
    """Run one request; a batch's work waits behind the live chat's."""
    pieces: list[list[str]] = [[] for _ in range(request.n)]
    stream = generate_stream(request, tenant_id=call.tenant_id, deadline_s=call.left_s(), priority=call.priority)
    with stream:
        for piece in stream:
            pieces[piece.index].append(piece.text)
    if stream.stats is not None:
        used = stream.stats.prompt_tokens + stream.stats.completion_tokens
        tokens_add(tenant_id=call.tenant_id, tokens=used)
    return ["".join(row).strip() for row in pieces]
