"""Classifiers of an organisation."""

from apps.analysis.models.classifiers import Classifier, ClassifierExample, ClassifierVersion

__all__ = ["Classifier", "ClassifierExample", "ClassifierVersion"]
