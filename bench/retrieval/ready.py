"""Importing this sets Django up, which the decision and the check of sentences need beside what the services share.

No database is asked. It is for commands alone: whoever starts servers of its own sets Django up when they run.
"""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nlpsuite.settings.base")
django.setup()
