"""A batch's results as a file that is sent while it is read: a part at a time, whatever their number."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

from apps.batches.selectors.batches import COLUMNS, batch_export
from apps.batches.tables.types import Format
from apps.batches.tables.write import WRITERS
from apps.batches.types import RowFilter
from apps.core.threads import in_thread


def content_type(kind: Format) -> str:
    """Return the media type of a format."""
    return WRITERS[kind].content_type


async def results_stream(
    *, tenant_id: uuid.UUID, batch_id: uuid.UUID, kind: Format, chosen: RowFilter
) -> AsyncIterator[bytes]:
    """Yield the file of the results that pass the filter. Formula cells are neutralised in CSV and XLSX."""
    writer = WRITERS[kind](COLUMNS)
    yield writer.begin()
    after: int | None = -1
    while after is not None:
        rows, after = await in_thread(batch_export)(tenant_id=tenant_id, batch_id=batch_id, chosen=chosen, after=after)
        yield writer.rows(rows)
    yield writer.end()
