"""In which space an organisation's vectors are searched. Only the state: the vectors lie with those who hold them."""

from __future__ import annotations

from django.db import models

from apps.core.bases import TenantModel
from apps.inference.types import SPACE_CHARS


class VectorSpace(TenantModel):
    """The space that one kind of an organisation's vectors is searched in, and the one that is being made.

    A space is an encoder with its revision, `name@revision`. `serving` changes in one step, under this row's lock, once
    every text has its vector in `building`. Who writes vectors holds the row shared until the commit.
    """

    class Holder(models.TextChoices):
        PASSAGES = "passages"
        MESSAGES = "messages"

    holder = models.CharField(max_length=8, choices=Holder.choices)
    serving = models.CharField(max_length=SPACE_CHARS)
    building = models.CharField(max_length=SPACE_CHARS, blank=True, default="")
    paused = models.BooleanField(default=False)
    job_id = models.UUIDField(null=True)
    error_code = models.CharField(max_length=60, blank=True, default="")
    switched_at = models.DateTimeField(null=True)

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant_id", "holder"], name="inference_vectorspace_holder")]
