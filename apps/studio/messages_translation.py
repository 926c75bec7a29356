"""The texts of the scripts of translation, beside those of the studio. Keys are used in static/studio/translation*.js."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

TRANSLATION_MESSAGES = {
    # Documents
    "doc_queued": _("Waiting"),
    "doc_running": _("Translating"),
    "doc_ready": _("Ready"),
    "doc_failed": _("Failed"),
    "doc_progress": _("{name}: {percent} translated"),
    "doc_download": _("Download {name}"),
    "doc_remove": _("Remove {name}"),
    "doc_removed": _("The document is removed."),
    "docs_empty": _("No documents yet"),
    "docs_empty_text": _("A translated file keeps its format: headings, tables, links, times and placeholders stay."),
    "doc_name": _("Document"),
    "doc_languages": _("Languages"),
    "doc_state": _("State"),
    "doc_added": _("Added"),
    "doc_uploading": _("Sending {name}"),
    "doc_is_ready": _("{name} is translated."),
    "doc_has_failed": _("{name} could not be translated."),
    "doc_too_large": _("{name} is larger than {n} MiB."),
    "files_chosen": _("{n} files chosen"),
    "actions": _("Actions"),
    "load_more": _("Show more"),
    "from_to": _("{source} to {target}"),
    # Glossary
    "terms_empty": _("No terms yet"),
    "terms_empty_text": _("A term is always translated as you say, and never by the model."),
    "term": _("Term"),
    "term_translation": _("Is translated as"),
    "term_case": _("Exact capitals"),
    "term_remove": _("Remove the term {term}"),
    "term_saved": _("The term is kept."),
    "term_removed": _("The term is removed."),
    # Memory
    "units_empty": _("No approved texts yet"),
    "units_empty_text": _("A text that comes again is translated exactly as you approved it, without a model."),
    "units_none_found": _("No approved text contains that."),
    "unit_text": _("Text"),
    "unit_translation": _("Approved translation"),
    "unit_remove": _("Forget this translation: {text}"),
    "unit_saved": _("The translation is kept."),
    "unit_removed": _("The translation is forgotten."),
    # Refusals
    "error_glossary_term_invalid": _("A term and its translation have 1 to 200 characters."),
    "error_glossary_full": _("The glossary is full. Remove terms that are not needed any more."),
    "error_memory_unit_invalid": _("A text and its translation have 1 to 5,000 characters."),
    "error_memory_full": _("The memory is full. Forget texts that are not needed any more."),
    "error_unsupported_type": _("This is not a file of a format that can be translated."),
    "error_too_many_documents": _("Too many documents are waiting or kept. Remove some first."),
    "error_document_not_ready": _("The document is not translated yet."),
    "error_document_not_found": _("The document is not there any more."),
}
