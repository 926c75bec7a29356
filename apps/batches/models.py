"""Batches: a task over the rows of a file, its results, and the counts that charts are drawn from."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.core.bases import TenantModel

# The tables, constraints and indexes keep the names that they were made under, in the app `analysis`: processes of the
# version before read and write them, too.
NAME_CHARS = 200


class Batch(TenantModel):
    """One task over many texts, and how far it is.

    `position` rows are done, and the next one begins at `offset` bytes of the stored rows: both change only together
    with the results. `labels`, `sources` and `topics` are the names behind the numbers of rows and cells.
    """

    class Status(models.TextChoices):
        DRAFT = "draft"
        QUEUED = "queued"
        READING = "reading"
        RUNNING = "running"
        PAUSED = "paused"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"
        DELETING = "deleting"

    name = models.CharField(max_length=NAME_CHARS)
    task = models.CharField(max_length=40, blank=True)
    options = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    format = models.CharField(max_length=10)
    encoding = models.CharField(max_length=40, blank=True)
    upload_name = models.CharField(max_length=120, blank=True)
    upload_bytes = models.BigIntegerField(default=0)
    columns = models.JSONField(default=dict)
    wants_topics = models.BooleanField(default=True)
    job_id = models.UUIDField(null=True)
    total = models.BigIntegerField(default=0)
    position = models.BigIntegerField(default=0)
    offset = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    rate_per_s = models.FloatField(default=0)
    labels = ArrayField(models.CharField(max_length=100), default=list)
    sources = ArrayField(models.CharField(max_length=100), default=list)
    topics = ArrayField(models.CharField(max_length=100), default=list)
    topics_note = models.CharField(max_length=60, blank=True)
    bucket_unit = models.CharField(max_length=10, blank=True)
    bucket_start = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    created_by = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        db_table = "analysis_batch"
        constraints = [models.UniqueConstraint(fields=["tenant_id", "id"], name="analysis_batch_tenant_id_uniq")]
        indexes = [models.Index(fields=["tenant_id", "status"], name="analysis_batch_status")]


class BatchRow(TenantModel):
    """A text and what the task made of it. The numbers point into the batch's lists (`services/batches/numbers.py`)."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="rows")
    position = models.BigIntegerField()
    reference = models.CharField(max_length=200, blank=True)
    source = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField(null=True)
    text = models.TextField(blank=True)
    result = models.JSONField(default=dict)
    output = models.TextField(blank=True)
    score = models.FloatField(null=True)
    label_no = models.SmallIntegerField(default=-1)
    source_no = models.SmallIntegerField(default=-1)
    topic_no = models.SmallIntegerField(default=-1)
    bucket_no = models.IntegerField(default=-1)

    class Meta(TenantModel.Meta):
        db_table = "analysis_batchrow"
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "batch", "position"], name="analysis_batchrow_position")
        ]
        # One for each bar that is a click away from its texts, in the order in which they are shown.
        indexes = [
            models.Index(fields=["tenant_id", "batch", "label_no", "position"], name="analysis_batchrow_label"),
            models.Index(fields=["tenant_id", "batch", "source_no", "position"], name="analysis_batchrow_source"),
            models.Index(fields=["tenant_id", "batch", "topic_no", "position"], name="analysis_batchrow_topic"),
            models.Index(fields=["tenant_id", "batch", "bucket_no", "position"], name="analysis_batchrow_bucket"),
        ]


class BatchCell(TenantModel):
    """How many rows share label, source, topic and stretch of time: every chart is a sum over these."""

    batch = models.ForeignKey(
        Batch, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="cells"
    )
    label_no = models.SmallIntegerField()
    source_no = models.SmallIntegerField()
    topic_no = models.SmallIntegerField()
    bucket_no = models.IntegerField()
    rows = models.BigIntegerField(default=0)
    scored = models.BigIntegerField(default=0)
    score_sum = models.FloatField(default=0)

    class Meta(TenantModel.Meta):
        db_table = "analysis_batchcell"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant_id", "batch", "label_no", "source_no", "topic_no", "bucket_no"],
                name="analysis_batchcell_key",
            )
        ]
