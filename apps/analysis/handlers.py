"""What happens when something happened, and the long work of this app."""

from __future__ import annotations

from apps.analysis.services.batches import DELETE, RUN, batch_delete_run, batch_job_ended, batch_run
from apps.analysis.services.classifiers import TRAIN, classifier_train, classifier_train_ended
from apps.analysis.services.documents import TRANSLATE, document_job_ended, document_translate
from apps.jobs.services import job_end_hook, job_handler

job_handler(TRAIN)(classifier_train)
job_end_hook(TRAIN)(classifier_train_ended)
job_handler(RUN)(batch_run)
job_end_hook(RUN)(batch_job_ended)
job_handler(DELETE)(batch_delete_run)
job_handler(TRANSLATE)(document_translate)
job_end_hook(TRANSLATE)(document_job_ended)
