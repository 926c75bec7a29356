"""Template tags of the design system."""

from __future__ import annotations

from collections.abc import Sequence

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, get_language_info

from apps.core.languages import offered_languages

register = template.Library()


@register.simple_tag
def icon(name: str, extra_class: str = "") -> SafeString:
    """An icon of static/icons.svg, hidden from screen readers: the control that holds it has the name."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        extra_class,
        static("icons.svg"),
        name,
    )


@register.simple_tag
def language_choices() -> Sequence[dict[str, object]]:
    """The languages that pages are offered in: [{"code", "name", "current"}], named in themselves."""
    current = get_language() or ""
    return [
        {"code": code, "name": get_language_info(code)["name_local"], "current": code == current}
        for code, _ in offered_languages()
    ]


@register.simple_tag
def text_direction() -> str:
    """Writing direction of the active language: "ltr" or "rtl"."""
    return "rtl" if get_language_info(get_language() or "en")["bidi"] else "ltr"
