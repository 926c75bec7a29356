"""The page of translation: documents, glossary, approved texts. What it shows comes from /api/v1/analysis/translation."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from apps.accounts.types import Principal
from apps.core.languages import catalogue_render
from apps.studio.messages import STUDIO_MESSAGES
from apps.studio.messages_translation import TRANSLATION_MESSAGES
from apps.studio.views.staff import staff
from apps.studio.views.studio import page_render
from apps.translation.services.documents import MAX_BYTES
from apps.translation.services.pairs import languages_targets

TABS = ("documents", "glossary", "memory")


@require_safe
@staff("analysis:use")
def index(request: HttpRequest, principal: Principal) -> HttpResponse:
    """One of three: documents and their translations, the organisation's terms, its approved texts."""
    tab = request.GET.get("tab", "")
    context = {
        "tab": tab if tab in TABS else TABS[0],
        "languages": languages_targets(),
        "may_write": "analysis:write" in principal.scopes,
        "max_mib": MAX_BYTES // 1024**2,
        "messages_catalogue": catalogue_render(STUDIO_MESSAGES | TRANSLATION_MESSAGES),
    }
    return page_render(request, "studio/translation.html", "translation", context)
