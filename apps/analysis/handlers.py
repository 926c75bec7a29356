"""What happens when something happened, and the long work of this app."""

from __future__ import annotations
