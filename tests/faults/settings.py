"""The product's settings with the jobs of the fault tests."""

from __future__ import annotations

from nlpsuite.settings.base import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.faults.slowjobs.apps.SlowJobsConfig"]  # noqa: F405
