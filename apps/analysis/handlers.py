"""What happens when something happened, and the long work of this app."""

from __future__ import annotations

from apps.analysis.services.classifiers import TRAIN, classifier_train, classifier_train_ended
from apps.jobs.services import job_end_hook, job_handler

job_handler(TRAIN)(classifier_train)
job_end_hook(TRAIN)(classifier_train_ended)
