"""How parallel workers of one test run (`pytest -n 2`) share the test files."""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadScopeScheduling

# The worker that takes files from the end of the collection.
_BACKWARD = "gw1"


class FromBothEnds(LoadScopeScheduling):
    """A file goes to one worker whole; the second worker takes files from the end, all others from the beginning.

    The end is where the browser tests and most tests of the running product are: one worker alone starts the product
    and Chromium for them, the others keep the real models. Where both meet the work is done, whatever each part took.
    """

    def __init__(self, config: Any, log: Any) -> None:
        super().__init__(config, log)
        # Keeps the collection's order of files: by default those with most tests come first.
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return nodeid.split("::", 1)[0]

    def _assign_work_unit(self, node: Any) -> None:
        if node.gateway.id == _BACKWARD:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)
