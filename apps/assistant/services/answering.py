"""From a question to a grounded answer: condense, retrieve, decide, generate, check, quote.

A visitor reads a generated sentence only after the check has passed it; the first one that fails ends the generation, in
the engine too. When nothing passed, the answer quotes the best passage. Text of passages reaches the model as information:
the run has no tools, reads one tenant's documents, and its decision is made before the model says a word.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import Any

import numpy as np
import structlog

from apps.assistant.condense import Query, message_queries
from apps.assistant.decision import Decision, Thresholds, decide, evidence, failed
from apps.assistant.finding import Finding, find
from apps.assistant.services.phrases import LANGUAGES, PHRASES, offers_person, phrase
from apps.assistant.services.prompt import STOP, answer_prompt, copy_prompt
from apps.assistant.services.searching import search_by
from apps.assistant.types import Answer, Question
from apps.core.errors import AppError, Cancelled
from apps.core.tenancy import connection_release
from apps.inference.services import default_model, embed_texts, generate_stream
from apps.inference.types import GenerateRequest
from apps.knowledge.types import Passage
from apps.nlp.services.grounding.check import GroundingContext, PassageText, SentenceCheck
from apps.nlp.services.grounding.exact import Exact, speaks_for
from apps.nlp.services.grounding.quoting import item_rest, quote_answer
from apps.nlp.services.grounding.text import Sentence, SentenceBuffer, content_terms
from apps.tenants.selectors import organization_settings
from apps.translation.services.language import language_among

log = structlog.get_logger(__name__)
PROMPTED = 3
MAX_ANSWER_TOKENS = 120
MAX_SENTENCES = 4
# Of a question that is repeated to say that it found no answer.
MAX_REPEATED_CHARS = 160
# Fewer words say too little of their language, and so does a smaller share of the likelihood.
_TELLING_TERMS, _SURE = 3, 0.9
GENERATE_DEADLINE_S = 25.0
Release = Callable[[str], None]
Note = Callable[[dict[str, Any]], None]


class AnswerRun:
    """One run. `release(text)` receives what a visitor may read, in order, each piece after `note(mark)` told what it
    rests on; `should_stop()` ends the run (Cancelled)."""

    def __init__(self, question: Question, *, release: Release, note: Note, should_stop: Callable[[], bool]) -> None:
        self.question, self._release, self._note, self._should_stop = question, release, note, should_stop
        self._settings = organization_settings(tenant_id=question.tenant_id)
        self._began = time.perf_counter()
        self.timings_ms: dict[str, float] = {}
        # Unix times, so that a reader on this machine can tell what delivery added.
        self.stamps: dict[str, float] = {}
        self.checks: list[dict[str, Any]] = []
        self.passages: tuple[Passage, ...] = ()
        self.exact: tuple[Exact, ...] = ()
        self._last: SentenceCheck | None = None
        self._text = ""
        # Whether something is said to the question that is being answered.
        self._answered = False

    def run(self) -> Answer:
        """Answer, abstain or hand over. Errors of the engine (Busy, DeadlineExceeded, Unavailable) pass through when
        nothing was released and no passage can be quoted."""
        early = self._decide_early()
        if early is not None:
            return self._refuse(early)
        found = self._find()
        best = max(found, key=lambda one: (one.decision.kind == "answer", one.decision.confidence))
        self._take(best)
        if best.decision.kind == "abstain":
            decision = failed(
                best.decision.reason, best.decision.confidence, self._thresholds(), self.question.abstentions
            )
            return self._refuse(decision)
        cited: list[Passage] = []
        missing = [one for one in found if not (one.decision.kind == "answer" and self._answer(one, cited))]
        if not self._text:
            self._take(best)
            return self._say(Decision("abstain", "nothing_to_quote", best.decision.confidence), "no_answer")
        self._take(*(one for one in found if one not in missing))
        for one in missing:
            self._append(phrase("not_this", self._language()).format(_short(one.asked)), {})
        decision = replace(best.decision, reason="partial") if missing else best.decision
        return self._finish(decision, self._text, list(dict.fromkeys(cited)))

    # -- steps -------------------------------------------------------------------------------------------------------
    def _thresholds(self) -> Thresholds:
        return Thresholds.default().replaced(
            answer=self._settings["answer_threshold"],
            handoff_phrases=tuple(self._settings["handoff_phrases"]),
            handoff_after=self._settings["handoff_after_abstentions"],
        )

    def _decide_early(self) -> Decision | None:
        """Return what the words alone decide."""
        question = self.question
        last = question.history[-1] if question.history else ("", "")
        decision = decide(
            question.text,
            (),
            self._thresholds(),
            abstentions=question.abstentions,
            before_search=True,
            person_offered=last[0] == "bot" and offers_person(last[1]),
        )
        if decision is not None:
            self._mark("decide")
        return decision

    def _find(self) -> list[Finding[Passage]]:
        """Return what was found for each question of the message, in their order."""
        question = self.question
        said = [text for role, text in question.history if role == "contact"]
        search = search_by(tenant_id=question.tenant_id, collections=question.collections, embed=self._embed)
        judge = partial(evidence, answer=self._thresholds().answer)
        found = []
        for asked, queries in message_queries(said, question.text):
            self._check_stop()
            found.append(replace(find(queries or [Query(asked)], search, judge), asked=asked))
        self._mark("retrieve")
        self._mark("decide")
        return found

    def _take(self, *found: Finding[Passage]) -> None:
        """Make what was found what is answered from, and what "why" shows."""
        rows = zip_longest(*(one.passages for one in found))
        self.passages = tuple(dict.fromkeys(p for row in rows for p in row if p is not None))
        self.query = " / ".join(one.query for one in found)
        self.exact = tuple(exact for one in found for exact in one.exact)

    def _answer(self, found: Finding[Passage], cited: list[Passage]) -> bool:
        """Answer one question; return whether anything is said to it."""
        self._take(found)
        self._last, self._answered = None, False
        indices = self._generated_or_none()
        if self._answered:
            self._complete()
        else:
            indices = self._quote()
        cited += [self.passages[index] for index in indices]
        return self._answered

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        return embed_texts(list(texts), tenant_id=self.question.tenant_id).vectors

    def _generated_or_none(self) -> list[int]:
        """A model that is away, busy or late costs its own words only: what was released stays, else we quote."""
        cited: list[int] = []
        try:
            self._generate(cited)
        except Cancelled:
            raise
        except AppError as error:
            log.warning("answer.not_generated", code=error.code, released=self._answered)
            self.checks.append({"sentence": "", "supported": False, "reason": f"engine_{error.code}"})
        return cited

    def _generate(self, cited: list[int]) -> None:
        copies = default_model("chat").prompt_style == "copy"
        prompted = self.passages[: 1 if copies else PROMPTED]
        messages = (
            copy_prompt(self.query, prompted) if copies else answer_prompt(self.query, prompted, self.question.history)
        )
        context = GroundingContext(
            [PassageText(p.text, heading_path(p)) for p in prompted], self._embed, question=self.query
        )
        request = GenerateRequest(
            messages=messages,
            max_tokens=MAX_ANSWER_TOKENS,
            stop=STOP,
            temperature=0.0,
        )
        buffer = SentenceBuffer()
        connection_release()
        stream = generate_stream(
            request,
            tenant_id=self.question.tenant_id,
            deadline_s=GENERATE_DEADLINE_S,
            should_stop=self._should_stop,
        )
        previous: SentenceCheck | None = None
        try:
            for piece in stream:
                if "first_token" not in self.timings_ms:
                    self._mark("first_token")
                    self.stamps["first_token"] = time.time()
                for sentence in buffer.feed(piece.text):
                    self.stamps.setdefault("first_sentence", time.time())
                    previous = self._offer(context, sentence, previous, cited)
                    if (not previous.supported and not previous.filler) or len(cited) >= MAX_SENTENCES:
                        return
            self._check_stop()
            if stream.stats is not None and stream.stats.finish_reason == "length":
                return  # what the token limit cut is half a sentence, however true its beginning
            for sentence in buffer.flush():
                previous = self._offer(context, sentence, previous, cited)
                if not previous.supported and not previous.filler:
                    break
        finally:
            stream.close()
            self._mark("generate")

    def _offer(
        self, context: GroundingContext, sentence: Sentence, previous: SentenceCheck | None, cited: list[int]
    ) -> SentenceCheck:
        self._check_stop()
        began = time.perf_counter()
        check = checked(context, sentence.text, previous, self.passages, self.exact)
        self.checks.append(
            {
                "sentence": sentence.text,
                "supported": check.supported,
                "score": round(float(check.score), 3),
                "passage": check.passage,
                "reason": check.reason,
                "ms": round((time.perf_counter() - began) * 1000, 1),
            }
        )
        if check.supported and check.passage is not None:
            cited.append(check.passage)
            self._last = check
            self._emit(sentence.text, self.passages[check.passage])
        return check

    def _complete(self) -> None:
        """Add what the item of a list goes on with, in its own words: the step that matters may be its second sentence."""
        if self._last is None or self._last.passage is None:
            return
        passage = self.passages[self._last.passage]
        rest = item_rest(passage.text, self._last.start, self._last.end)
        if rest:
            self._emit(rest, passage)

    def _quote(self) -> list[int]:
        passages = [PassageText(p.text, heading_path(p)) for p in self.passages[:5]]
        quote = quote_answer(self.query, passages, self._embed, self.exact)
        if quote is None:
            return []
        lead = "" if self._text else phrase("quote_lead", self._language()) + "\n\n"
        self._emit(quote.text, self.passages[quote.passage_index], lead)
        self._mark("quote")
        return [quote.passage_index]

    def _language(self) -> str:
        """Return the language of fixed sentences: the visitor's where the message tells it, else that of the inbox."""
        text, locale = self.question.text, self.question.locale
        if any(character > "\u2e80" for character in text) or len(content_terms(text)) >= _TELLING_TERMS:
            language, share = language_among(text, LANGUAGES)
            if share >= _SURE:
                return language
        return locale

    # -- ends --------------------------------------------------------------------------------------------------------
    def _emit(self, text: str, passage: Passage, lead: str = "") -> None:
        piece = text.strip()
        again, self._answered = self._answered, True
        if piece in self._text:
            return  # two questions with one answer
        if self._text and again:
            piece = ("\n" if piece.startswith(("-", "*", "1", "2", "3")) else " ") + piece
        self._append(lead + piece, {"citation": citation_of(passage)}, new=not again)

    def _append(self, piece: str, note: dict[str, Any], *, new: bool = True) -> None:
        """Release a piece of the answer; `new` begins a paragraph."""
        if self._text and new:
            piece = "\n\n" + piece
        self._text += piece
        if "first_release" not in self.timings_ms:
            self._mark("first_release")
            self.stamps["first_release"] = time.time()
        self._note({"decision": "answer", **note})
        self._release(piece)

    def _refuse(self, decision: Decision) -> Answer:
        if decision.kind == "handoff":
            return self._say(decision, "handoff_repeated" if decision.reason == "repeated_failure" else "handoff")
        return self._say(decision, decision.reason if decision.reason in PHRASES else "no_answer")

    def _say(self, decision: Decision, name: str) -> Answer:
        self._check_stop()
        text = phrase(name, decision.language or self._language())
        self._note({"decision": decision.kind})
        self._release(text)
        return self._finish(decision, text, [])

    def _finish(self, decision: Decision, text: str, cited: Sequence[Passage]) -> Answer:
        self._mark("total")
        citations = [citation_of(p) for p in cited]
        model = default_model("chat")
        why = {
            "confidence": round(float(decision.confidence), 3),
            "query": getattr(self, "query", self.question.text),
            "passages": [
                {
                    "document": p.document,
                    "heading": p.heading,
                    "score": round(float(p.score), 3),
                    "text": p.text[:600],
                    "url": p.url,
                }
                for p in self.passages[:PROMPTED]
            ],
            "checks": self.checks,
            "model": model.name,
            "model_revision": model.revision,
            "timings_ms": self.timings_ms,
            "stamps": self.stamps,
        }
        return Answer(decision.kind, decision.reason, text, citations, grounded=True, why=why)

    def _mark(self, name: str) -> None:
        self.timings_ms[name] = round((time.perf_counter() - self._began) * 1000, 1)

    def _check_stop(self) -> None:
        if self._should_stop():
            raise Cancelled


def checked(
    context: GroundingContext,
    sentence: str,
    previous: SentenceCheck | None,
    passages: Sequence[Passage],
    exact: Sequence[Exact],
) -> SentenceCheck:
    """Return the verdict on a sentence; one that speaks of another version, code or number than was asked is refused."""
    check = context.check(sentence, previous)
    if check.supported and check.passage is not None:
        passage = passages[check.passage]
        if not speaks_for(sentence, passage.text, heading_path(passage), exact):
            return replace(check, supported=False, reason="another")
    return check


def _short(question: str) -> str:
    return question if len(question) <= MAX_REPEATED_CHARS else question[: MAX_REPEATED_CHARS - 1].rstrip() + "…"


def heading_path(passage: Passage) -> str:
    """Return title and heading of a passage on one line."""
    return " › ".join(part for part in (passage.title, passage.heading) if part)


def citation_of(passage: Passage) -> dict[str, Any]:
    """Return the citation as it is stored with the message and shown as a link."""
    return {
        "document": passage.document,
        "source": passage.source,
        "heading": passage.heading,
        "anchor": passage.anchor,
        "quote": passage.text[:300],
        "score": round(float(passage.score), 3),
        "url": passage.url,
    }
