"""What to search for: the visitor's message, or the message completed from the questions before it. Deterministic.

A question that stands by itself is searched as it is. A follow-up ("and for files?", "how long does it take?") is
joined with the question it follows; when it has much to say itself it is also kept as a query of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from apps.assistant.smalltalk import small_talk, without_greeting
from apps.nlp.services.grounding.text import Token, content_terms, is_stopword, sentences, tokens, words

MAX_QUERY_CHARS = 600
MAX_QUERIES = 3

_OPENING = re.compile(
    r"""(?ix)^(?:and|but|or|also|so|then|ok(?:ay)?|hm+|what\ about|how\ about|what\ if|why\ not|why|how\ so|really
      |same\ for|for\ (?!example)|in\ which\ case|e\ (?:para|se|o|a)\b|e\ quanto|mas|ent(?:a|\u00e3)o
      |\u90a3|\u90a3\u4e48|\u8fd8\u6709|\u5462)\b""",
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
class CondensedQuery:
    """Queries to search with, the best first; whether the message leans on what was said before."""

    queries: tuple[str, ...]
    is_follow_up: bool


def condense_query(history: Sequence[str], message: str) -> CondensedQuery:
    """Return what to search for, from the visitor's earlier messages (oldest first) and the new one.

    `message` may be several messages that arrived together, one a line: the first query holds them all, the last
    question of them is a query of its own. At most MAX_QUERIES, each at most MAX_QUERY_CHARS characters.
    """
    lines = [line for line in (without_greeting(part) for part in message.splitlines()) if line]
    said = " ".join(lines) or " ".join(message.split())
    last_question = _last_question(lines)
    topic = _topic(history)
    follows = bool(topic) and _is_follow_up(said)
    queries = [_joined(topic, said)] if follows else []
    if not follows or len(content_terms(said)) >= 3:
        queries.append(said)
    if last_question and last_question != said:
        queries.append(last_question)
    bounded = (query[-MAX_QUERY_CHARS:].strip() for query in queries)
    return CondensedQuery(tuple(dict.fromkeys(q for q in bounded if q))[:MAX_QUERIES], follows)


def _is_follow_up(said: str) -> bool:
    found = tokens(said)
    content = [t for t in found if not is_stopword(t)]
    if not content or (_OPENING.match(said) and len(content) <= 6):
        return True
    plain = _EMPTY_POINTER.sub(" ", said)
    if _POINTER_PHRASE.search(said):
        return True
    pointed = _pointers(plain)
    if pointed and not _antecedent(plain, pointed[0]):
        return True
    return len(content) == 1 and not said.rstrip().endswith(".") and not _asks(said)


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
