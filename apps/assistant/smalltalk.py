"""What a visitor says besides questions: greetings, thanks, goodbyes and the like, and asking for a person.

A message is small talk when phrases of talk.py and fillers are all that is in it, in any of six languages and however it
is typed: case, accents, punctuation, signs, lengthened letters. A request for a person inside a negation is not one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from apps.assistant.talk import AFFIRMATIONS, CLEAR_GREETINGS, FILLERS, ORDER, PHRASES, SIGNS

# Longer messages are no small talk, whatever they begin with.
_MAX_CHARS = 200
# A letter may be wrong, missing, doubled or in its neighbour's place in words of at least so many.
_FUZZY_LETTERS = 5
_SMILEY = re.compile(r"(?<!\S)(?:[:;=8xX][-o^']?[)D\]pP3*}>(/|\\]+|<3+|\^_?\^|[xX]D+|-_+-|[:;=]['-]?\()(?!\S)")
_UNHAPPY = re.compile(r"[(/|\\]\s*$")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+")
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_REPEATED = re.compile(r"(.)\1+")
_SPACES = re.compile(r"\s+")
# Letters as they may be written, and who may be greeted, where a greeting is taken off a question.
_LOOSE = {" ": r"\s", "a": "[aáàâã]", "e": "[eéèê]", "i": "[iíî]", "o": "[oóôõö]", "u": "[uúûü]", "s": "[sß]"}
_GREETED = r"(?:\s+(?:there|again|all|everyone|everybody|team|bot|guys|folks|pessoal|zusammen|madame|monsieur))?"


@dataclass(frozen=True)
class Talk:
    """What kind of small talk a message is ("" when it is none), and its language where its words tell it."""

    kind: str = ""
    language: str = ""


def talk_of(message: str) -> Talk:
    """Return what small talk a message is.

    Kinds: greeting, thanks, bye, done (nothing else is wanted), okay, praise, robot (who is there?), help, present (is
           anybody there?), insult, sign (only emoji that say nothing in particular).
    """
    text = " ".join(message.split())
    if not text or len(text) > _MAX_CHARS:
        return Talk()
    units = _units(text)
    if not units:
        return Talk()
    found = _segmented(tuple(units))
    if found is None:
        return Talk()
    kinds = [kind for kind, _ in found if kind]
    if not kinds:
        return Talk("sign") if all(unit.startswith("\0") for unit in units) else Talk()
    kind = next(name for name in ORDER if name in kinds)
    languages = [language for _, language in found if language]
    return Talk(kind, max(dict.fromkeys(languages), key=languages.count, default=""))


def small_talk(message: str) -> str:
    """Return the kind of small talk that a message is, "" for none."""
    return talk_of(message).kind


def affirms(message: str) -> bool:
    """Return whether a message says yes, and nothing else."""
    units = tuple(unit for unit in _units(" ".join(message.split())[:_MAX_CHARS]) if not unit.startswith("\0"))
    ends = {0}
    for at in range(len(units)):
        if at in ends:
            ends |= {at + len(yes) for yes in _affirmations() if units[at : at + len(yes)] == yes}
    return bool(units) and len(units) in ends


@cache
def _affirmations() -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(_units(phrase)) for phrase in AFFIRMATIONS.split("|"))


def without_greeting(text: str) -> str:
    """Return one line without the greeting before its question, with single spaces; "" when nothing else is left."""
    text = " ".join(text.split())
    if small_talk(text):
        return ""
    left = text
    while match := _leading_greeting().match(left):
        left = left[match.end() :]
    return left or text


# -- comparing -------------------------------------------------------------------------------------------------------
def _units(text: str) -> list[str]:
    """Return the words, ideographs one by one, and signs (after a NUL) of a text, as they are compared."""
    text = _SMILEY.sub(lambda match: " \U0001f641 " if _UNHAPPY.search(match.group()) else " \U0001f642 ", text)
    units = []
    for piece in _SPACES.split(_plain(text)):
        at = 0
        while at < len(piece):
            if _IDEOGRAPH.match(piece, at):
                units.append(piece[at])
                at += 1
            elif match := _WORD.match(piece, at):
                # Up to the next ideograph: "ok谢谢".
                word = next(iter(re.split(_IDEOGRAPH, match.group(), maxsplit=1)))
                units.append(_squeezed(word.replace("'", "")))
                at += len(word)
            else:
                if unicodedata.category(piece[at]) in ("So", "Sk") and not 0x1F3FB <= ord(piece[at]) <= 0x1F3FF:
                    units.append("\0" + piece[at])
                at += 1
    return units


def _plain(text: str) -> str:
    """Return a text in lower case without accents, variation selectors and invisible characters."""
    decomposed = unicodedata.normalize("NFKD", text.replace("\u2019", "'").casefold())
    kept = "".join(c for c in decomposed if unicodedata.category(c) not in ("Mn", "Me", "Cf", "Cc") or c.isspace())
    return unicodedata.normalize("NFC", kept)


def _squeezed(word: str) -> str:
    """Return a word with each run of a letter as one: "thaaanks", "thanks"."""
    return _REPEATED.sub(r"\1", word)


@cache
def _phrases() -> tuple[dict[str, list[tuple[tuple[str, ...], str, str]]], frozenset[str]]:
    """Return (units, kind, language) of all phrases by their first unit, longest first, and long words of one."""
    found: dict[str, list[tuple[tuple[str, ...], str, str]]] = {}
    listed = [
        (phrase, kind, language)
        for kind, by_language in PHRASES.items()
        for language, phrases in by_language.items()
        for phrase in phrases.split("|")
    ]
    listed += [(phrase, "", "") for phrase in FILLERS.split("|")]
    for phrase, kind, language in listed:
        units = tuple(_units(phrase))
        if units:
            found.setdefault(units[0], []).append((units, kind, language))
    for options in found.values():
        options.sort(key=lambda option: (-len(option[0]), not option[1]))
    words = frozenset(
        units[0]
        for options in found.values()
        for units, kind, _ in options
        if kind and len(units) == 1 and len(units[0]) >= _FUZZY_LETTERS
    )
    return found, words


@cache
def _signs() -> dict[str, str]:
    return {sign: kind for kind, signs in SIGNS.items() for sign in signs}


def _segmented(units: tuple[str, ...]) -> list[tuple[str, str]] | None:
    """Return kind and language of phrases that make up all of the units; None where something else is among them."""
    # From each place to the end: None where it cannot be reached. From the end, so that no choice is made twice.
    best: list[list[tuple[str, str]] | None] = [None] * len(units) + [[]]
    for at in range(len(units) - 1, -1, -1):
        for taken, kind, language in _options(units, at):
            rest = best[at + taken]
            if rest is not None:
                best[at] = [(kind, language), *rest]
                break
    return best[0]


def _options(units: tuple[str, ...], at: int) -> Iterator[tuple[int, str, str]]:
    """Yield how many units a phrase takes at a place, its kind and language, longest first."""
    first = units[at]
    if first.startswith("\0"):
        yield 1, _signs().get(first[1:], ""), ""
        return
    phrases, words = _phrases()
    for phrase, kind, language in phrases.get(first, ()):
        if units[at : at + len(phrase)] == phrase:
            yield len(phrase), kind, language
    if len(first) >= _FUZZY_LETTERS and first not in phrases:
        for word in words:
            if word[0] == first[0] and _one_slip(first, word):
                _, kind, language = next(option for option in phrases[word] if len(option[0]) == 1)
                yield 1, kind, language


def _one_slip(typed: str, meant: str) -> bool:
    """Return whether one letter is missing, too many, wrong, or has changed places with its neighbour."""
    if abs(len(typed) - len(meant)) > 1:
        return False
    same = next((i for i, (a, b) in enumerate(zip(typed, meant, strict=False)) if a != b), min(len(typed), len(meant)))
    a, b = typed[same:], meant[same:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (len(a) > 1 and a[1::-1] + a[2:] == b)


@cache
def _leading_greeting() -> re.Pattern[str]:
    """Return what a greeting before a question looks like, with lengthened letters and those who are greeted."""
    named = sorted(
        (phrase for phrases in PHRASES["greeting"].values() for phrase in phrases.split("|")), key=len, reverse=True
    )
    clear = [phrase for phrase in named if phrase in CLEAR_GREETINGS]
    return re.compile(
        rf"\s*(?:(?:{_loose(named)}){_GREETED}\s*[!.,;:，。！~-]+|(?:{_loose(clear)}){_GREETED}(?:\s+|(?<=[\u3400-\u9fff])))"
        r"\s*(?=\S)",
        re.IGNORECASE,
    )


def _loose(phrases: Sequence[str]) -> str:
    return "|".join("".join(_LOOSE.get(c, re.escape(c)) + "+" for c in _squeezed(phrase)) for phrase in phrases)


# -- asking for a person ---------------------------------------------------------------------------------------------
_KIND = r"(?:(?:real|actual|live|human|support|customer|service|sales|technical) )*"
_WHO = (
    rf"(?:(?:a|an|the|some|another|one of your|your|any) )?{_KIND}(?:person|human(?: being)?|agent|representative|rep"
    r"|operator|someone(?: real| human| else)?|somebody(?: real| else)?|staff(?: member)?|advis[oe]r|supervisor"
    r"|colleague|employee|team member|people|support(?: team| staff)?|customer (?:service|support|care)|manager)"
)
_ASKS = (
    r"\b(?:talk|speak|chat|speaking|talking|connect(?:ed)?|transfer(?:red)?|forward(?:ed)?|hand(?:ed)? (?:me )?over"
    rf"|escalated?|put (?:me )?through|pass me|switch)(?: me| us)?(?: directly| now| please| this)?"
    rf" (?:to|with) {_WHO}\b",
    rf"\b(?:get|give|send|bring|fetch|find|call) (?:me )?{_WHO}\b(?= *(?:$|[.!?,]|please|now|here|on|to help|who))",
    r"\b(?:want|need|prefer|like|have)(?: to (?:have|see|get|reach|contact))? (?:(?:a|an|some|the|another) )?"
    r"(?:real|actual|live|human) (?:person|human|agent|being|representative|operator|support|help)\b",
    rf"\b(?:reach|contact|call|see|ask for) (?:a|an|your|some) {_KIND}"
    r"(?:person|human|agent|representative|operator|supervisor)\b",
    r"\b(?:is|are) there (?:a|an|any|some) (?:real )?(?:person|human|people|humans|agents?)\b",
    r"\b(?:anyone|someone|anybody|somebody)(?: real| else)?(?: that| who| whom)? (?:i|we)"
    r" (?:can|could) (?:talk|speak|chat)\b",
    r"^\W*(?:(?:real|live|human) )*(?:human|agent|operator|representative|person|live chat|customer service"
    r"|talk to (?:a )?human)\W*(?:please|pls|now)?\W*$",
    r"\b(?:can|could|may) (?:someone|somebody|a (?:human|person|colleague)) (?:please )?"
    r"(?:help|call|contact|answer|talk)\b",
    r"\bnot? (?:an? )?(?:bot|robot|machine|chatbot)\b.{0,40}\b(?:person|human|agent)\b",
    r"\b(?:person|human|agent)\b.{0,20}\bnot (?:an? )?(?:bot|robot|machine|chatbot)\b",
    r"\b(?:falar|conversar|contato) com (?:(?:um|uma|o|a|algum|alguma) )?(?:atendente|pessoa|humano|algu[eé]m|agente"
    r"|operador|representante|suporte|gerente)",
    r"\b(?:quero|preciso(?: de)?|gostaria de) (?:um |uma )?"
    r"(?:atendente|atendimento humano|pessoa (?:real|de verdade))",
    r"\batendente\b\W*$|\batendimento humano\b",
    r"\b(?:hablar|chatear|contactar|comunicar(?:me)?) con (?:(?:un|una|el|la|alg[uú]n|alguna) )?"
    r"(?:persona|humano|agente|operador|asesor|alguien|representante|encargado|gerente)",
    r"\b(?:quiero|necesito|prefiero) (?:a )?(?:un |una )?(?:agente|asesor|persona (?:real|de verdad)|humano|operador)\b",
    r"\b(?:parler|discuter|échanger|[eê]tre mis en relation) (?:à|a|avec) (?:(?:un|une|le|la|votre) )?(?:vraie? )?"
    r"(?:personne|humain|agent|conseiller|conseillère|quelqu'un|responsable|[êe]tre humain)",
    r"\b(?:je veux|je voudrais|j'aimerais|il me faut) (?:un |une )(?:vraie? )?(?:personne|humain|agent|conseiller)\b",
    r"\bmit (?:einem?r? )?(?:echten? |richtigen? )?(?:menschen|person|mitarbeiter(?:in)?|berater(?:in)?|jemandem"
    r"|kundenservice|kundendienst|support|kollegen) (?:sprechen|reden|chatten|verbinden|verbunden|telefonieren)",
    r"\b(?:ich will|ich m[oö]chte|ich brauche) (?:einen?|eine) (?:echten? |richtigen? )?"
    r"(?:menschen|person|mitarbeiter(?:in)?)\b",
)
_ASK_PERSON = re.compile("|".join(_ASKS), re.IGNORECASE)
_ASK_PERSON_CJK = re.compile(
    "(?:转|轉)人工|人工(?:客服|服务|服務)|^人工[。！!]*$|(?:找|要|想|联系|聯繫|请|叫|接)[^。，？]{0,6}(?:真人|人工|客服|经理)"
    "|(?:和|跟|与)[^。，]{0,4}(?:真人|人工|客服)[^。，]{0,4}(?:说|聊|谈|通话|交流)"
)
_REFUSED = re.compile(
    r"\b(?:don't|do not|didn't|did not|not|never|no need|without|won't|instead of|rather than|avoid|before|n[aã]o|sem"
    r"|em vez de|no|sin|en vez de|ne|pas|sans|au lieu de|nicht|kein|keine|keinen|ohne|statt)\b[^.!?;,]{0,40}$",
    re.IGNORECASE,
)
_REFUSED_CJK = re.compile("(?:不想|不要|不需要|不用|别|无需|没有)[^。，！？]{0,6}$")
# A question about visitors and conversations is about the product's own work, not a wish of the visitor.
_ABOUT_OTHERS = re.compile(
    r"^\W*(?:how|what|when|where|which|why|who|does|do|is|are|will|can (?:the|your|this|a))\b.{0,60}"
    r"\b(?:visitors?|customers?|the bot|conversations?|users?)\b",
    re.IGNORECASE,
)


def asks_for_person(message: str) -> bool:
    """True when the visitor asks to be handed to a person, in one of the six languages."""
    text = " ".join(message.replace("\u2019", "'").split())
    if any(_wanted(text, match, _REFUSED_CJK) for match in _ASK_PERSON_CJK.finditer(text)):
        return True
    if _ABOUT_OTHERS.match(text):
        return False
    return any(_wanted(text, match, _REFUSED) for match in _ASK_PERSON.finditer(text))


def _wanted(text: str, match: re.Match[str], refused: re.Pattern[str]) -> bool:
    if match.group().lower().startswith(("not ", "no ")):
        return True  # "not a bot, a person" refuses the bot
    return not refused.search(text[: match.start()]) and not _REFUSED_CJK.search(text[: match.start() + 2])
