"""What to search for: the visitor's message, or the message completed from the questions before it. Deterministic.

A question that stands by itself is searched as it is. One that points at what was said ("how long does it take?") is
joined with the question it follows. One that only sounds as if it went on ("and what does delivery cost?") is searched
by itself first. Joined with an earlier question, a message finds what that question was about; so what is found has to
have words of the new message too, where it has any.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from apps.assistant.complaints import complains
from apps.assistant.decision import GENERIC
from apps.assistant.smalltalk import small_talk, without_greeting
from apps.nlp.services.grounding.exact import Exact, meant
from apps.nlp.services.grounding.text import Token, content_terms, is_stopword, sentences, tokens, words

MAX_QUERY_CHARS = 600
MAX_QUERIES = 3
MAX_QUESTIONS = 3

_OPENING = re.compile(
    r"""(?ix)^(?:and|but|or|also|so|then|ok(?:ay)?|hm+|what\ about|how\ about|what\ if|why\ not|why|how\ so|really
      |same\ for|for\ (?!example)|in\ which\ case|e\ (?:para|se|o|a)\b|e\ quanto|mas|ent(?:a|\u00e3)o
      |\u90a3|\u90a3\u4e48|\u8fd8\u6709|\u5462)\b""",
)
# What makes a question of what follows an opening.
_WHOLE = re.compile(
    r"\b(?:(?:what|how)(?!\s+about)|where|when|which|who|why|whose|is|are|was|do|does|did|can|could|may|will|would|should|must|have|has"
    r"|quando|onde|qual|quais|quanto|quem|posso|como|cu[aá]ndo|d[oó]nde|cu[aá]l|cu[aá]nto|puedo|c[oó]mo|comment|quand|combien"
    r"|quel|quelle|puis-je|wie|wann|wo|welche|kann)\b",
    re.IGNORECASE,
)
_POINTER = words("it its they them their theirs this that these those he she him her his there ones such former latter")
_POINTER_PHRASE = re.compile(
    r"\b(?:the (?:first|second|third|last|other|same) (?:one|step|option|way)s?|that one|this one|the one|above|"
    r"another way|instead|isso|disso|ele|ela|deles)\b|\u5b83|\u4ed6\u4eec|\u8fd9\u4e2a|\u90a3\u4e2a",
    re.IGNORECASE,
)
# "it", "that" and so on that point at nothing said before.
_EMPTY_POINTER = re.compile(
    r"(?ix)\bis\ it\ (?:possible|ok|okay|allowed|necessary|safe|better|worth|true|polite|required|enough)\b"
    r"|\bit\ is\ (?:possible|allowed|necessary)\b|\bis\ there\b|\bare\ there\b|\bthere\ (?:is|are)\b|\bmake\ it\b"
    r"|\b(?:so|is|be|means?|know|say|says|think|heard|noticed|sure|want|believe|something|anything|everything|ones?"
    r"|those|all|\w+s|\w+ing)\ that\b|\bthat\ (?:is|are|was|were|has|have|can|will|does|do|i|you|we|my|the|a|an)\b"
    r"|\bthis\ (?:\w+)\b|\bthese\ \w+\b|\bthat\ \w+ed\b|\bdoes\ it\ (?:matter|make\ sense)\b"
)


@dataclass(frozen=True)
class Query:
    """A text to search with. Of `needed`, terms of the message itself, a passage that answers has at least one.

    A passage that speaks of another version, code or number than those in `exact` answers nothing.
    """

    text: str
    needed: frozenset[str] = frozenset()
    exact: tuple[Exact, ...] = ()


@dataclass(frozen=True)
class CondensedQuery:
    """Queries to search with, in the order in which they are tried; whether the message leans on what was said before."""

    queries: tuple[Query, ...]
    is_follow_up: bool

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of the queries."""
        return tuple(query.text for query in self.queries)


def message_queries(history: Sequence[str], message: str) -> list[tuple[str, tuple[Query, ...]]]:
    """Return the questions of a message and what to search for each, in order; the message itself where it asks one thing.

    Questions are sentences that ask, say something by themselves and are not the same; the first MAX_QUESTIONS of them.
    A later one may lean on an earlier one, and what the rest of the message names counts for all.
    """
    asked = _questions(message)
    if len(asked) < 2:
        return [(message, condense_query(history, message).queries)]
    rest = message
    for question in asked:
        rest = rest.replace(question, " ")
    found = []
    for number, question in enumerate(asked):
        queries = condense_query([*history, *asked[:number]], question).queries
        named = meant(question, rest)
        found.append((question, tuple(replace(query, exact=query.exact or named) for query in queries)))
    return found


def _questions(message: str) -> list[str]:
    kept: dict[frozenset[str], str] = {}
    for line in message.splitlines():
        for sentence in sentences(without_greeting(line)):
            own = frozenset(content_terms(sentence.text)) - GENERIC
            if (
                own
                and sentence.text.endswith(("?", "\uff1f"))
                and not (small_talk(sentence.text) or complains(sentence.text))
            ):
                kept.setdefault(own, sentence.text)
    return list(kept.values())[:MAX_QUESTIONS]


def condense_query(history: Sequence[str], message: str) -> CondensedQuery:
    """Return what to search for, from the visitor's earlier messages (oldest first) and the new one.

    `message` may be several messages that arrived together, one a line: the first query holds them all, the last
    question of them is a query of its own. At most MAX_QUERIES, each at most MAX_QUERY_CHARS characters.
    """
    lines = [line for line in (without_greeting(part) for part in message.splitlines()) if line]
    said = " ".join(lines) or " ".join(message.split())
    last_question = _last_question(lines)
    topic = _topic(history)
    lean = _lean(said) if topic else ""
    own = frozenset(content_terms(said)) - GENERIC
    alone = Query(said, exact=meant(said))
    joined = Query(_joined(topic, said), frozenset() if lean == "points" else own, meant(said, topic))
    queries = [alone]
    if lean == "goes_on":
        queries = [alone, joined]
    elif lean:
        queries = [joined, alone] if lean == "elliptic" or len(own) >= 3 else [joined]
    if last_question and last_question != said:
        queries.append(Query(last_question, exact=meant(last_question, said)))
    bounded = (replace(query, text=query.text[-MAX_QUERY_CHARS:].strip()) for query in queries)
    kept = {query.text: query for query in reversed(list(bounded)) if query.text}
    return CondensedQuery(tuple(reversed(kept.values()))[:MAX_QUERIES], bool(lean))


def _lean(said: str) -> str:
    """Return how a message leans on what was said before: "" for one that stands alone.

    points    it points at something that it does not name, or names nothing ("how long does it take?", "why?")
    elliptic  it names something and says nothing of it ("and for files?", "files?")
    goes_on   it begins as if it went on, and asks something whole ("and what does delivery cost?")
    """
    content = [t for t in tokens(said) if not is_stopword(t)]
    if not content:
        return "points"
    plain = _EMPTY_POINTER.sub(" ", said)
    pointed = _pointers(plain)
    if _POINTER_PHRASE.search(said) or (pointed and not _antecedent(plain, pointed[0])):
        return "points"
    opening = _OPENING.match(said)
    if opening and len(content) <= 6:
        return "goes_on" if _WHOLE.search(said[opening.end() :]) else "elliptic"
    return "elliptic" if len(content) == 1 and not said.rstrip().endswith(".") and not _asks(said) else ""


def _is_follow_up(said: str) -> bool:
    return bool(_lean(said))


def _pointers(text: str) -> list[Token]:
    return [t for t in tokens(text) if t.raw.lower() in _POINTER]


def _antecedent(text: str, pointer: Token) -> bool:
    """True when the message itself names, before the pointer, two things that it can point at."""
    return len(content_terms(text[: pointer.start])) >= 2


def _asks(said: str) -> bool:
    """True for a short question that is whole ("What is lintian?")."""
    first = said.split()[0].lower() if said.split() else ""
    return first in ("what", "what's", "who", "who's", "where", "when", "which", "define", "explain")


def _topic(history: Sequence[str]) -> str:
    """Return the visitor's last question that stands by itself, with the follow-ups since then left out."""
    fallback = ""
    for earlier in reversed(history):
        said = " ".join(filter(None, (without_greeting(line) for line in earlier.splitlines())))
        if not said or small_talk(earlier) or not content_terms(said):
            continue
        if not _is_follow_up(said):
            return said
        fallback = fallback or said
    return fallback


def _joined(topic: str, said: str) -> str:
    """Put the topic's words before the follow-up, without repeating what the follow-up says itself."""
    room = MAX_QUERY_CHARS - len(said) - 1
    return f"{topic[:room].strip()} {said}" if room > 20 else said


def _last_question(lines: Sequence[str]) -> str:
    for line in reversed(lines):
        for sentence in reversed(sentences(line)):
            if sentence.text.endswith(("?", "\uff1f")) and len(content_terms(sentence.text)) >= 2:
                return sentence.text
    return ""
