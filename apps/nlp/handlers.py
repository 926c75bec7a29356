"""The long work of this app."""

from __future__ import annotations

from apps.jobs.services import job_end_hook, job_handler
from apps.nlp.services.classifiers import TRAIN, classifier_train, classifier_train_ended

job_handler(TRAIN)(classifier_train)
job_end_hook(TRAIN)(classifier_train_ended)
