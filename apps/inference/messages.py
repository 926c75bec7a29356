"""The texts of the operators' page's scripts. Keys are used in static/operations/."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

OPERATIONS_MESSAGES = {
    "just_now": _("just now"),
}
