"""What an evaluation says: rows of figures beside baselines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.translation.types import Call

DATA = Path(__file__).resolve().parent / "data"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `ours` and each of `baselines` are of `metric`; higher is better unless the metric says otherwise."""

    metric: str
    ours: float
    baselines: dict[str, float]


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a task on one set: `data` names it and says how large it is, `note` what to know of it."""

    task: str
    model: str
    data: str
    rows: tuple[Row, ...]
    note: str = ""


Evaluate = Callable[[Call, Progress], Report]


def tsv_read(name: str) -> list[list[str]]:
    """Return the rows of a labelled set."""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line.strip()]


def rounded(value: Any) -> float:
    """Return a figure as it is shown."""
    return round(float(value), 3)
