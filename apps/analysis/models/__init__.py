"""Classifiers, glossaries, approved translations and translated documents of an organisation; batches; message vectors."""

from apps.analysis.models.batches import Batch, BatchCell, BatchRow
from apps.analysis.models.classifiers import Classifier, ClassifierExample, ClassifierVersion
from apps.analysis.models.conversations import MessageVector

__all__ = [
    "Batch",
    "BatchCell",
    "BatchRow",
    "Classifier",
    "ClassifierExample",
    "ClassifierVersion",
    "MessageVector",
]
