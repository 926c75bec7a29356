"""`manage.py sentiment_train`: make the head of the sentiment model again, from nothing but its public source."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import AppError
from apps.inference.services.heads import head_train
from apps.nlp.evaluation.sentiment_data import EDGE, Rated, sentiment_fetch
from apps.nlp.services.sentiment import MODEL, text_clean

# How wide the border between two classes is, in rating points: a mean of twenty ratings is not sharper.
_SOFTNESS = 0.3


class Command(BaseCommand):
    """Fetches the ratings, cuts the splits, trains on `train`, calibrates on `dev`; `test` is not looked at."""

    help = "Train the sentiment head on the ratings of the vaderSentiment source distribution."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """--seed."""
        parser.add_argument("--seed", type=int, default=0)

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the path and the sha256 of the head."""
        self.stderr.write("fetching the source distribution")
        try:
            splits = sentiment_fetch()
        except AppError as error:
            raise CommandError(str(error.message)) from error
        path, sha256 = head_train(
            model=MODEL,
            train=_targets(splits["train"], soft=True),
            dev=_targets(splits["dev"], soft=False),
            seed=options["seed"],
            progress=self._progress,
        )
        self.stdout.write(f"{path}\nsha256 {sha256}: put it into apps/inference/catalogue.py")

    def _progress(self, what: str, done: int, total: int) -> None:
        end = "\r" if sys.stderr.isatty() and done < total else "\n"
        if sys.stderr.isatty() or done == total:
            self.stderr.write(f"{what} {done}/{total}", ending=end)


def _targets(rows: list[Rated], *, soft: bool) -> tuple[list[str], Any]:
    """Return texts and float32 (n, 3): hard labels, or shares that change gently where the classes meet."""
    texts = [text_clean(row.text) for row in rows]
    scores = np.array([row.score for row in rows], dtype=np.float32)
    if soft:
        negative, positive = (1 / (1 + np.exp(-(sign * scores - EDGE) / _SOFTNESS)) for sign in (-1, 1))
    else:
        negative, positive = (scores <= -EDGE).astype(np.float32), (scores >= EDGE).astype(np.float32)
    return texts, np.stack([negative, 1 - negative - positive, positive], axis=1).astype(np.float32)
