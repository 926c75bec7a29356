"""Classifiers, glossaries, approved translations and translated documents of an organisation."""

from apps.analysis.models.classifiers import Classifier, ClassifierExample, ClassifierVersion
from apps.analysis.models.translation import GlossaryEntry, MemoryUnit, TranslatedDocument

__all__ = [
    "Classifier",
    "ClassifierExample",
    "ClassifierVersion",
    "GlossaryEntry",
    "MemoryUnit",
    "TranslatedDocument",
]
