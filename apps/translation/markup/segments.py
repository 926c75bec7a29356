"""Translates texts in parts: sentence by sentence, each checked for its marks and numbers, in ever safer ways."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from apps.translation.markup.marks import Mark, Part, Parts, merged, original, said
from apps.translation.markup.masking import FORMS, Form, masked, numbers_kept, numbers_marked, unmasked
from apps.translation.markup.protect import Glossary, protected

# Stands for a word that is taken out while sentences are cut. Where a text has one, `protected` made it a mark.
_STAND_IN = "\ue000"
# Longer ones are cut between words: no model was trained on them.
MAX_SENTENCE_CHARS = 3_000
# Fewer letters are an abbreviation.
_LEAST_CAPITALS = 6

# A text in (sentence, white space after it) pairs.
Split = Callable[[str], Sequence[tuple[str, str]]]
# Any number of sentences in the other language.
Translate = Callable[[Sequence[str]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Sentence:
    """What goes to the model at once."""

    parts: Parts


Planned = list[Part | Sentence]


class Translation:
    """Texts on their way into another language: cut into sentences, looked up in memory, translated, put together."""

    def __init__(self, segments: Sequence[Parts], *, split: Split, glossary: Glossary | None = None) -> None:
        self._segments = segments
        self._plans = [_plan(protected(segment, glossary), split) for segment in segments]
        self._sentences = list(dict.fromkeys(one.parts for plan in self._plans for one in _sentences_of(plan)))

    def keys(self) -> set[str]:
        """Return what memory may know: the whole texts and their sentences."""
        texts = [original(segment) for segment in self._segments] + [original(parts) for parts in self._sentences]
        return {memory_key(text) for text in texts} - {""}

    def run(self, translate: Translate, memory: Mapping[str, str] | None = None) -> list[Parts]:
        """Return each text in the other language, its marks kept, and as `memory` has it where that knows it."""
        known = memory or {}
        found = {parts: known.get(memory_key(original(parts))) for parts in self._sentences}
        done: dict[Parts, Parts] = {parts: (text,) for parts, text in found.items() if text is not None}
        whole = [known.get(memory_key(original(segment))) for segment in self._segments]
        plans = [plan for plan, text in zip(self._plans, whole, strict=True) if text is None]
        wanted = dict.fromkeys(one.parts for plan in plans for one in _sentences_of(plan) if one.parts not in done)
        done |= _sentences_translate(list(wanted), translate)
        return [
            (_framed(original(segment), text),) if text is not None else _assembled(plan, done)
            for segment, plan, text in zip(self._segments, self._plans, whole, strict=True)
        ]


def memory_key(text: str) -> str:
    """Return the text as memory compares it: runs of white space are one space."""
    return " ".join(text.split())


def _sentences_of(plan: Planned) -> Iterator[Sentence]:
    return (one for one in plan if isinstance(one, Sentence))


def _assembled(plan: Planned, done: Mapping[Parts, Parts]) -> Parts:
    return merged(part for one in plan for part in (done[one.parts] if isinstance(one, Sentence) else (one,)))


def _framed(text: str, translation: str) -> str:
    """Return the translation with the white space that surrounds the text."""
    bare = text.strip()
    begin = text.find(bare)
    return text[:begin] + translation.strip() + text[begin + len(bare) :]


# -- cutting ---------------------------------------------------------------------------------------------------------
def _plan(parts: Parts, split: Split) -> Planned:
    """Cut a text into sentences; what says nothing, and marks at the ends that do not, stand between them."""
    if not said(parts) and not any(isinstance(part, Mark) and part.term for part in parts):
        return list(parts)
    flat, words = "", []
    beside: deque[tuple[int, Mark]] = deque()
    for part in parts:
        if isinstance(part, str):
            flat += part
        elif part.kind == "word":
            flat += _STAND_IN
            words.append(part)
        else:
            beside.append((len(flat), part))
    plan: Planned = []
    place, taken = 0, iter(words)
    for sentence, space in _bounded(split(flat)):
        end, following = place + len(sentence), place + len(sentence) + len(space)
        while beside and beside[0][0] == place and (place == 0 or beside[0][1].kind != "close"):
            plan.append(beside.popleft()[1])
        inner = _until(beside, end - 1)
        plan += _sentence(sentence, [(at - place, mark) for at, mark in inner], taken)
        after = _until(beside, following if following == len(flat) else following - 1)
        while beside and beside[0] == (following, beside[0][1]) and beside[0][1].kind == "close":
            after.append(beside.popleft())
        plan += _between(space, end, after)
        place = following
    return plan


def _until(beside: deque[tuple[int, Mark]], last: int) -> list[tuple[int, Mark]]:
    taken = []
    while beside and beside[0][0] <= last:
        taken.append(beside.popleft())
    return taken


def _bounded(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Cut what is too long for one sentence between words, or anywhere."""
    for sentence, space in pairs:
        begin = 0
        while len(sentence) - begin > MAX_SENTENCE_CHARS:
            last = begin + MAX_SENTENCE_CHARS
            cut = sentence.rfind(" ", begin + MAX_SENTENCE_CHARS // 2, last) + 1 or last
            bare = sentence[begin:cut].rstrip()
            yield bare, sentence[begin + len(bare) : cut]
            begin = cut
        yield sentence[begin:], space


def _between(space: str, begin: int, marks: Sequence[tuple[int, Mark]]) -> Planned:
    """Return white space with the marks inside it."""
    out: Planned = []
    last = 0
    for at, mark in marks:
        out += [space[last : at - begin], mark]
        last = at - begin
    return [*out, space[last:]]


def _sentence(text: str, inner: Sequence[tuple[int, Mark]], words: Iterator[Mark]) -> Planned:
    """Return a sentence with its marks back in their places, or its parts where it says nothing."""
    parts: list[Part] = []
    marks = deque(inner)
    begin = 0
    for at, character in enumerate(text):
        while marks and marks[0][0] == at:
            parts += [text[begin:at], marks.popleft()[1]]
            begin = at
        if character == _STAND_IN:
            parts += [text[begin:at], next(words)]
            begin = at + 1
    made = merged([*parts, text[begin:]])
    return [Sentence(made)] if said(made) else list(made)


# -- translating -----------------------------------------------------------------------------------------------------
def _sentences_translate(sentences: Sequence[Parts], translate: Translate) -> dict[Parts, Parts]:
    """Return each sentence's translation. What is written in capitals alone is asked for in small letters: models were
    trained on few capitals, and make "SUA OUDER HAS BEEN SHIPPED" of "YOUR ORDER HAS BEEN SHIPPED"."""
    quiet = {parts: _lowered(parts) for parts in sentences if _in_capitals(parts)}
    done = _kept_translate(list(dict.fromkeys(quiet.get(parts, parts) for parts in sentences)), translate)
    return {
        parts: tuple(part.upper() if isinstance(part, str) else part for part in done[quiet[parts]])
        if parts in quiet
        else done[parts]
        for parts in sentences
    }


def _in_capitals(parts: Parts) -> bool:
    text = " ".join(part for part in parts if isinstance(part, str))
    return text.isupper() and sum(map(str.isalpha, text)) >= _LEAST_CAPITALS and len(text.split()) > 1


def _lowered(parts: Parts) -> Parts:
    """Return the parts in small letters, the first of all but that."""
    lower = [part.lower() if isinstance(part, str) else part for part in parts]
    if isinstance(lower[0], str):
        lower[0] = lower[0][:1].upper() + lower[0][1:]
    return tuple(lower)


def _kept_translate(sentences: Sequence[Parts], translate: Translate) -> dict[Parts, Parts]:
    """Return each sentence's translation: with its numbers as they are, then with those as marks, then in pieces."""
    done: dict[Parts, Parts] = {}
    left = list(sentences)
    for form, marking in ((FORMS[0], False), (FORMS[1], False), (FORMS[0], True), (FORMS[1], True)):
        done |= _attempt(left, form, translate, marking=marking)
        left = [parts for parts in left if parts not in done]
    return done | _in_pieces(left, translate)


def _attempt(sentences: Sequence[Parts], form: Form, translate: Translate, *, marking: bool) -> dict[Parts, Parts]:
    """Return the translations in which every mark and number has come through."""
    asked: list[tuple[Parts, Parts, str]] = []
    for parts in sentences:
        used = numbers_marked(parts) if marking else parts
        text = masked(used, form)
        # Without marks one form asks what the other has asked.
        fresh = used != parts if marking else form is FORMS[0] or any(isinstance(part, Mark) for part in parts)
        if text is not None and fresh:
            asked.append((parts, used, text))
    if not asked:
        return {}
    done: dict[Parts, Parts] = {}
    for (parts, used, _), text in zip(asked, translate([text for _, _, text in asked]), strict=True):
        made = unmasked(text, used, form)
        kept = numbers_kept(used, made) if made is not None else None
        if kept is not None:
            done[parts] = kept
    return done


def _in_pieces(sentences: Sequence[Parts], translate: Translate) -> dict[Parts, Parts]:
    """Translate what stands between marks and numbers by itself: worse to read, but nothing can get lost."""
    pieces = {parts: numbers_marked(parts) for parts in sentences}
    strings = (part.strip() for made in pieces.values() for part in made if isinstance(part, str) and said((part,)))
    texts = list(dict.fromkeys(strings))
    known = dict(zip(texts, translate(texts), strict=True)) if texts else {}

    def replaced(part: Part) -> Part:
        return _framed(part, known[part.strip()]) if isinstance(part, str) and part.strip() in known else part

    return {parts: merged(replaced(part) for part in made) for parts, made in pieces.items()}
