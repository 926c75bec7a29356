"""What the processes of offload.py are forked from: the product, loaded, with no thread and no connection.

Imported by multiprocessing's fork server only.
"""

from __future__ import annotations

import django

django.setup()

from apps.core.offload import preloads  # noqa: E402  (needs the apps)

for preload in preloads:
    preload()
