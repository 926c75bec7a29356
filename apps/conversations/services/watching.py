"""The look that needs no hint: every few seconds, one for all conversations that the sockets of a process show.

A hint may be lost, and then this look finds the same rows. It is one query for up to 500 conversations of an organisation:
a look of each socket's own costs six round trips to the database per socket. 1,000 idle sockets cost 1,153 statements a
second and half a processor that way, 2.5 and a thirtieth this way (`python -m bench.idle`).
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable
from weakref import WeakKeyDictionary

import structlog
from django.db import Error

from apps.conversations.selectors import conversation_states
from apps.conversations.types import ConversationState
from apps.core.threads import in_thread

log = structlog.get_logger(__name__)
# A lost hint delays by this much at most.
POLL_S = 4.0
# So many ids are one query; more are asked for in turn.
IDS_PER_QUERY = 500
Looked = Callable[[ConversationState | None], None]


class Watch:
    """One watched conversation, until `close`."""

    def __init__(
        self, owner: ConversationWatcher, tenant_id: uuid.UUID, conversation_id: uuid.UUID, looked: Looked
    ) -> None:
        self._owner, self.tenant_id, self.conversation_id, self.looked = owner, tenant_id, conversation_id, looked
        self.closed = False

    def close(self) -> None:
        """Stop watching; no callback starts after this."""
        self.closed = True
        self._owner.discard(self)


class ConversationWatcher:
    """Looks at the conversations of one event loop's sockets, those of an organisation together."""

    def __init__(self) -> None:
        self._watches: defaultdict[uuid.UUID, set[Watch]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    def watch(self, tenant_id: uuid.UUID, conversation_id: uuid.UUID, looked: Looked) -> Watch:
        """Call `looked` after each look with the conversation's state, or None while it has no row. It must not block."""
        made = Watch(self, tenant_id, conversation_id, looked)
        self._watches[tenant_id].add(made)
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())
        return made

    def discard(self, watch: Watch) -> None:
        """Forget a closed watch."""
        watches = self._watches.get(watch.tenant_id, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(watch.tenant_id, None)

    async def _run(self) -> None:
        while self._watches:
            await asyncio.sleep(POLL_S)
            for tenant_id, watches in list(self._watches.items()):
                present = list(watches)
                for start in range(0, len(present), IDS_PER_QUERY):
                    await self._look(tenant_id, present[start : start + IDS_PER_QUERY])

    async def _look(self, tenant_id: uuid.UUID, watches: list[Watch]) -> None:
        ids = {watch.conversation_id for watch in watches}
        try:
            found = await in_thread(conversation_states)(tenant_id=tenant_id, ids=ids)
        except (Error, OSError):
            return  # the database is away; the next look finds the same rows
        for watch in watches:
            if watch.closed:
                continue
            try:
                watch.looked(found.get(watch.conversation_id))
            except Exception:
                log.exception("watch.failed")  # ours to fix; others are still looked for


_watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, ConversationWatcher] = WeakKeyDictionary()


def conversation_watch(*, tenant_id: uuid.UUID, conversation_id: uuid.UUID, looked: Looked) -> Watch:
    """Have a conversation looked at every `POLL_S` from the running event loop, until the watch is closed."""
    watcher = _watchers.setdefault(asyncio.get_running_loop(), ConversationWatcher())
    return watcher.watch(tenant_id, conversation_id, looked)
