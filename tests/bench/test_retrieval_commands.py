"""The measurements of retrieval are commands of their own: they start without anybody having set Django up."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.conf import settings

# Stops where the documents would be read, behind all imports.
EVALUATE = """
import sys
from bench.retrieval import evaluate
evaluate.developers_reference = lambda: sys.exit("reached the documents")
evaluate.offline("all", False)
"""


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("name", ["answers", "fit_decision", "grounding_eval"])
def test_a_command_can_be_imported_by_itself(name: str) -> None:
    done = _python("-c", f"import bench.retrieval.{name}")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_evaluation_gets_to_its_documents() -> None:
    assert _python("-c", EVALUATE).stderr == "reached the documents\n"
