"""Who is served next: a bounded queue with classes of work, fair between organisations inside a class."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

from apps.inference.engine.errors import Overloaded
from apps.inference.engine.types import Priority

# Most urgent first: people who wait in a chat, then programs that wait for an answer, then work that nobody watches.
CLASSES: tuple[Priority, ...] = ("live", "api", "batch")
# How much of the queue a class may fill, and how much of a class one organisation may: the rest stays free for others.
CLASS_SHARE: dict[Priority, float] = {"live": 1.0, "api": 0.85, "batch": 0.7}
TENANT_SHARE = 0.5

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items by class and organisation. Not thread-safe: the owner holds its lock around every call.

    Inside a class the organisations take turns (round robin), whatever the length of each one's queue.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._queues: dict[Priority, OrderedDict[str, deque[T]]] = {name: OrderedDict() for name in CLASSES}
        self._depth: dict[Priority, int] = dict.fromkeys(CLASSES, 0)

    def __len__(self) -> int:
        return sum(self._depth.values())

    def depth(self, priority: Priority) -> int:
        """Return how many items of the class wait."""
        return self._depth[priority]

    def push(self, items: list[T], *, priority: Priority, tenant: str) -> None:
        """Add items, all or none. Raises Overloaded at the bound of the queue, the class or the organisation."""
        room = int(self._bound * CLASS_SHARE[priority])
        mine = self._queues[priority].get(tenant)
        held = len(mine) if mine is not None else 0
        others = self._depth[priority] - held
        # Alone in its class an organisation may fill it; beside others, half of it.
        allowed = max(1, int(room * TENANT_SHARE)) if others else room
        if len(self) + len(items) > room or held + len(items) > allowed:
            raise Overloaded(f"{len(self)} requests are waiting")
        self._queues[priority].setdefault(tenant, deque()).extend(items)
        self._depth[priority] += len(items)

    def pop(self, may_start: Callable[[Priority], bool] = lambda _: True) -> tuple[Priority, T] | None:
        """Remove and return the next item of the most urgent class that `may_start`, or None."""
        for priority in CLASSES:
            if self._depth[priority] and may_start(priority):
                return priority, self.pop_class(priority)
        return None

    def pop_class(self, priority: Priority) -> T:
        """Remove and return the next item of a class that has one; its organisation goes to the end of the turn."""
        queues = self._queues[priority]
        tenant, queue = next(iter(queues.items()))
        item = queue.popleft()
        self._depth[priority] -= 1
        if queue:
            queues.move_to_end(tenant)
        else:
            del queues[tenant]
        return item

    def remove(self, item: T, *, priority: Priority, tenant: str) -> bool:
        """Take one item out; False when it is not waiting any more."""
        queue = self._queues[priority].get(tenant)
        if queue is None or item not in queue:
            return False
        queue.remove(item)
        self._depth[priority] -= 1
        if not queue:
            del self._queues[priority][tenant]
        return True

    def drain(self) -> list[T]:
        """Remove and return everything."""
        items = [item for queues in self._queues.values() for queue in queues.values() for item in queue]
        for priority in CLASSES:
            self._queues[priority].clear()
            self._depth[priority] = 0
        return items
