from __future__ import annotations

import time

from django.apps import AppConfig


class SlowJobsConfig(AppConfig):
    name = "tests.faults.slowjobs"
    label = "slowjobs"

    def ready(self) -> None:
        from apps.events.services import audit_record
        from apps.jobs.services import JobContext, job_handler

        @job_handler("test.slow")
        def slow(ctx: JobContext) -> None:
            time.sleep(ctx.payload["seconds"])
            ctx.check()
            with ctx.finishing():
                audit_record(action="test.effect", actor="test", target=str(ctx.job_id))
