"""The texts of the studio's scripts. Keys are used in static/studio/."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

STUDIO_MESSAGES = {
    "close": _("Close"),
}
