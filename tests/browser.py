"""Which Chromium the tests drive, and how it is started."""

from __future__ import annotations

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")
# No background traffic: tests run without a network.
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def executable() -> str | None:
    """Return the path of an installed Chromium; None leaves the choice to Playwright."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)
