"""Batches; message vectors."""

from apps.analysis.models.batches import Batch, BatchCell, BatchRow
from apps.analysis.models.conversations import MessageVector

__all__ = [
    "Batch",
    "BatchCell",
    "BatchRow",
    "MessageVector",
]
