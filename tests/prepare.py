"""Fetch what tests need beside Python packages: Chromium and a manual that we did not write, from apt as root.

Without root or apt, Playwright's own installer brings a Chromium, and the tests on the manual are skipped with that reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.browser import executable

MANUAL = "/usr/share/developers-reference"


def _missing() -> list[str]:
    packages = [] if executable() else ["chromium", "fonts-noto-cjk"]
    return packages if os.path.isdir(MANUAL) else [*packages, "developers-reference"]


def main() -> None:
    """Install what is missing; the run goes on without the manual, and fails without a browser."""
    packages = _missing()
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=False, env=env, stdout=subprocess.DEVNULL)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
        subprocess.run(command, check=False, env=env, stdout=subprocess.DEVNULL)
    if not executable():
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


if __name__ == "__main__":
    main()
