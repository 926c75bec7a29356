"""The long work of this app."""

from __future__ import annotations

from apps.jobs.services import job_end_hook, job_handler
from apps.translation.services.documents import TRANSLATE, document_job_ended, document_translate

job_handler(TRANSLATE)(document_translate)
job_end_hook(TRANSLATE)(document_job_ended)
