"""Written texts: what can be counted of them, beside the same model asked plainly."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import mean

from apps.inference.types import ChatMessage, GenerateRequest
from apps.nlp.evaluation.labels import results_of
from apps.nlp.evaluation.report import Progress, Report, Row, rounded, tsv_read
from apps.nlp.services.generate import LENGTHS, GenerateOptions, model_of, request_of
from apps.nlp.services.segments import sentences_of
from apps.nlp.services.writing import texts_write
from apps.translation.services.language import languages_of
from apps.translation.types import Call

_SEED = 7
_PLAIN = "one plain chat prompt"
_KINDS = {
    "support_reply": "a reply to a customer",
    "announcement": "an announcement",
    "product_copy": "a product description",
    "social_post": "a social media post",
    "news_brief": "a short news item",
}
_CODES = {"": "en", "Portuguese": "pt"}
_POST_CHARS = 280
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_SPACE = re.compile(r"[\s,]+")
# What stays behind of a prompt or waits to be filled in: [Your Name], "Brief:", a heading, a list.
_LEFT_OVER = re.compile(r"\[[^\]]*\]|\b(?:Brief|Tone|Length|Facts|Customer):|^\s*(?:#|[-*] )", re.MULTILINE)
_FINISHED = re.compile(r"[.!?…][\"')\]]*\s*(?:#\w+\s*|[^\w\s]\s*)*$")


@dataclass(frozen=True, slots=True)
class Brief:
    """What is to be written, and the facts that the text has to have."""

    template: str
    tone: str
    length: str
    language: str
    facts: tuple[str, ...]
    text: str

    @property
    def options(self) -> dict[str, object]:
        """The options of the task; the seed makes a second measurement the same."""
        return {
            "template": self.template,
            "tone": self.tone,
            "length": self.length,
            "language": self.language,
            "seed": _SEED,
        }

    @property
    def plainly(self) -> str:
        """What somebody would ask a chat model."""
        language = f" in {self.language}" if self.language else ""
        length, _ = LENGTHS[self.length]
        return f"Write {_KINDS[self.template]}{language}, {length}, {self.tone} in tone: {self.text}"


def briefs_read() -> list[Brief]:
    """Return the set, all templates among it."""
    return [
        Brief(template, tone, length, language, tuple(facts.split("|")), text)
        for template, tone, length, language, facts, text in tsv_read("briefs.tsv")
    ]


def facts_kept(brief: Brief, draft: str) -> float:
    """Return the share of the facts that the draft has."""
    said = _plain(draft)
    return mean(_plain(fact) in said for fact in brief.facts)


def nothing_invented(brief: Brief, draft: str) -> bool:
    """Return whether every number of the draft stands in the brief."""
    return set(_NUMBER.findall(draft)) <= set(_NUMBER.findall(brief.text))


def length_kept(brief: Brief, draft: str) -> bool:
    """Return whether the draft has one or two sentences, one paragraph, or three, as was asked for."""
    paragraphs = [part for part in draft.split("\n\n") if _FINISHED.search(part.strip())]
    if brief.length == "short":
        return 1 <= len(sentences_of(draft)) <= 2
    return len(paragraphs) == (1 if brief.length == "medium" else 3)


def language_kept(brief: Brief, draft: str) -> bool:
    """Return whether the draft is in the language that was asked for."""
    return languages_of([draft])[0][0] == _CODES[brief.language]


def format_kept(brief: Brief, draft: str) -> bool:
    """Return whether the draft can be sent: finished, nothing to fill in, nothing of the prompt; posts of 280 characters."""
    fits = brief.template != "social_post" or len(draft) <= _POST_CHARS
    return fits and bool(_FINISHED.search(draft)) and not _LEFT_OVER.search(draft)


MEASURES: dict[str, Callable[[Brief, str], float]] = {
    "facts of the brief in the draft": facts_kept,
    "drafts without a number that the brief does not have": nothing_invented,
    "drafts of the length asked for": length_kept,
    "drafts in the language asked for": language_kept,
    "drafts that are finished and have nothing to fill in": format_kept,
}


def drafts_evaluate(call: Call, progress: Progress) -> Report:
    """What drafts of all templates keep, beside the same model with the same settings and one plain prompt."""
    briefs = briefs_read()
    ours, plain = [], []
    for done, brief in enumerate(briefs, 1):
        ours += results_of(call, "generate", [brief.text], lambda *_: None, **brief.options)[0]["texts"]
        plain += texts_write(call, [_plain_request(brief)])[0]
        progress(done, len(briefs))

    def share(measure: Callable[[Brief, str], float], drafts: Sequence[str]) -> float:
        return rounded(mean(map(measure, briefs, drafts)))

    return Report(
        "generate",
        model_of(GenerateOptions()),
        f"{len(briefs)} briefs for {len(_KINDS)} templates, {sum(map(_in_portuguese, briefs))} of them for Portuguese"
        " (data/briefs.tsv)",
        tuple(Row(name, share(measure, ours), {_PLAIN: share(measure, plain)}) for name, measure in MEASURES.items()),
        "What can be counted, and no more: whether a reply is good is for a person to say. The model that comes with the"
        " product is small: it keeps few of the facts however it is asked, and a plain prompt is as good there. What the"
        " task adds is that drafts keep their length and can be sent.",
    )


def _in_portuguese(brief: Brief) -> bool:
    return brief.language == "Portuguese"


def _plain(text: str) -> str:
    return _SPACE.sub(" ", text).casefold()


def _plain_request(brief: Brief) -> GenerateRequest:
    asked = request_of(brief.text, (), GenerateOptions.model_validate(brief.options))
    return replace(asked, messages=(ChatMessage("user", brief.plainly),))
