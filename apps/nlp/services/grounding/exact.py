"""What a question names exactly (part codes, versions, numbered things, amounts) and whether a text speaks of another.

Vectors and words see little between version 3.1 and 3.10, or the articles ZR-4401 and ZR-4410: these rules do. A text
that names another thing of the same kind, and not the one asked for, is about something else. A range that holds it
("3.0 or later", "10 to 20 kg", "within 30 days") speaks of it. Pure, no models; nothing here is tuned.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from apps.nlp.services.grounding.text import STOPWORDS, stem, words

Kind = Literal["code", "version", "number", "amount"]
_MOST_CHARS = 20_000
# Code points beside a figure in which it is said that it begins or ends a range.
_NEAR = 40

# Canonical units. A number before one of these is an amount, not a name.
_UNITS = {
    name: unit
    for unit, names in {
        "second": "s sec secs second seconds segundo segundos seconde secondes sekunde sekunden 秒",
        "minute": "min mins minute minutes minuto minutos minuten 分钟",
        "hour": "h hr hrs hour hours hora horas heure heures stunde stunden 小时",
        "day": "day days dia dias día días jour jours tag tage tagen 天 日",
        "week": "week weeks semana semanas semaine semaines woche wochen 周",
        "month": "month months mês meses mes mois monat monate monaten 个月",
        "year": "year years ano anos año años année années jahr jahre jahren 年",
        "mm": "mm millimetre millimetres millimeter millimeters 毫米",
        "cm": "cm centimetre centimetres centimeter centimeters 厘米",
        "m": "m metre metres meter meters metro metros mètre mètres 米",
        "km": "km kilometre kilometres kilometer kilometers 公里",
        "inch": "inch inches 英寸",
        "g": "g gram grams gramm gramas gramos grammes 克",
        "kg": "kg kgs kilo kilos kilogram kilograms 公斤 千克",
        "ml": "ml millilitre millilitres 毫升",
        "l": "l litre litres liter liters litro litros 升",
        "kb": "kb kib",
        "mb": "mb mib megabyte megabytes",
        "gb": "gb gib gigabyte gigabytes",
        "tb": "tb tib",
        "w": "w watt watts 瓦",
        "v": "v volt volts 伏",
        "hz": "hz khz mhz ghz",
        "degree": "° °c °f degree degrees grad graus grados degrés 度",
        "percent": "% percent percento por cento prozent",
        "eur": "€ eur euro euros 欧元",
        "usd": "$ usd dollar dollars 美元",
        "gbp": "£ gbp pound pounds 英镑",
        "cny": "¥ cny rmb yuan 元",
        "chf": "chf",
        "brl": "r$ brl reais",
    }.items()
    for name in names.split()
}
_SYMBOLS = "€$£¥"
_VERSION_WORDS = words(
    "version versions release releases ver v update firmware edition versão versión versões versiones"
)
_CJK_VERSION = ("版本", "版")
# No names of what is numbered: "en 1901", "von 2010", "1992年7".
_NO_LABEL = STOPWORDS | words("""
    de do da dos das em no na nos nas o os a as e ou por para até com sem sobre cerca ano anos
    el la los las en y u con del al entre hasta desde año años unos unas
    le les des du et dans sur avec entre environ an ans année années depuis vers
    der die das den dem des und oder im in von vom zu zum zur bis seit ab mit um am bei für jahr jahre jahren
    year years about around circa page pages figure table open opened opens closed closes 年 月 日 在 从 到 于 约 第
""")
_UNIT = "|".join(sorted((re.escape(name) for name in _UNITS), key=len, reverse=True))
_TO = r"(?:to|through|bis|at\u00e9|hasta|a|\u00e0|\u81f3|\u5230|[-\u2013\u2014~])"
_FOUND = re.compile(
    rf"""
      (?P<date>\b\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}\b|\b\d{{4}}-\d{{2}}-\d{{2}}\b|\b\d{{1,2}}:\d{{2}}\b|\b24/7\b)
    | (?P<amount>(?P<sign>R\$|[{_SYMBOLS}])[ ]?\d+(?:[.,]\d+)*
        |(?<![\w.,-])(?:(?P<least>\d+(?:[.,]\d+)*)[ ]?{_TO}[ ]?)?
          \d+(?:[.,]\d+)*[ \u00a0-]?(?P<unit>{_UNIT})(?![\w\u00c0-\u024f]))
    | (?P<version>(?<![\w.])v?\d+(?:\.\d+)+(?:\.x)?(?!\w))
    | (?P<code>(?<![\w/.-])(?=[\w/-]*\d)(?=[\d/-]*[a-z])\w+(?:[-/]\w+)*(?![\w-]))
    | (?P<number>(?<![\w.,])\d+(?:\.x)?(?![\w%年月日号次个人岁倍]|[.,]\d))
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
# "1st", "30-day", "2x", "5pm", "70ern", "1990s": words with a figure in them that name nothing.
_NO_CODE = re.compile(r"\d+(?:[a-zäöüñçºª]+|AM|PM)|\d[XDGK]|\d+-[^\W\d_]+(?:-[^\W\d_]+)*|[^\W\d_]{4,}-\d")
_LABEL = re.compile(r"([^\W\d_][^\W\d_'’]*)[ \u00a0]*(?:[#:№]|no\.?|nr\.?|number)?[ \u00a0]*$", re.IGNORECASE)


def _any(phrases: str) -> str:
    """Return a pattern of phrases that are set apart by bars."""
    return "|".join(re.escape(phrase.strip()).replace(r"\ ", r"\s") for phrase in phrases.split("|"))


_LEAST = _any(
    "at least|from|since|after|starting with|minimum|minimum of|more than|over|newer than|desde|a partir de|à partir de"
    "|mindestens|ab"
)
_MOST = _any(
    "up to|until|till|before|at most|within|maximum|maximum of|less than|under|below|older than|até|hasta|jusqu'à|bis"
    "|bis zu|maximal"
)
_OR = "(?:and|or|e|o|ou|oder|und|et|y)"
_MORE = _any(
    "later|newer|higher|above|up|more|over|greater|superior|superiores|posterior|plus|mais|más|höher|neuer|mehr"
)
_LESS = _any("earlier|older|lower|below|less|under|fewer|inferior|anterior|menos|moins|niedriger|älter|weniger")
_FROM = re.compile(
    rf"(?:(?<!\w)(?:{_LEAST})\s*(?:[^\W\d_]+\s+){{0,2}}|>=?\s*|≥\s*|至少|从)[{_SYMBOLS}]?$", re.IGNORECASE
)
_UP_TO = re.compile(
    rf"(?:(?<!\w)(?:{_MOST})\s*(?:[^\W\d_]+\s+){{0,2}}|<=?\s*|≤\s*|最多|不超过)[{_SYMBOLS}]?$", re.IGNORECASE
)
_AND_UP = re.compile(rf"\s*(?:\+|(?:{_OR}\s(?:{_MORE})|onwards?)(?!\w)|及?以上)", re.IGNORECASE)
_AND_DOWN = re.compile(rf"\s*(?:{_OR}\s(?:{_LESS})(?!\w)|以下|以内)", re.IGNORECASE)
_BETWEEN = re.compile(rf"\s*(?:{_TO}|(?P<and>and|und|et|y|e))\s*(?:[^\W\d_]+\s+)?", re.IGNORECASE)
_OPENS_BETWEEN = re.compile(r"\b(?:between|zwischen|entre)\b[^.?!]{0,30}$", re.IGNORECASE)


@dataclass(frozen=True)
class Exact:
    """Something named exactly.

    `label` is the stem of the word before a number or a version ("error" 404), the unit of an amount, the letters of a
    code; "" for none. `value` compares: the figures in order. `form` is the whole, folded; `start` and `end` in code points.
    """

    kind: Kind
    label: str
    value: tuple[float, ...]
    form: str
    raw: str
    start: int
    end: int
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    @property
    def strict(self) -> bool:
        """True for what names one thing. An amount says how much, and is often answered by another."""
        return self.kind != "amount"

    @property
    def is_range(self) -> bool:
        """True where the text speaks of all from, up to or between."""
        return self.low is not None or self.high is not None


def exact_terms(text: str) -> tuple[Exact, ...]:
    """Return what the text names exactly, in order; of long texts the first 20,000 characters are read."""
    return _exact_terms(unicodedata.normalize("NFKC", text[:_MOST_CHARS]))


@lru_cache(maxsize=1_000)
def _exact_terms(text: str) -> tuple[Exact, ...]:
    found = list(_plain(text))
    return tuple(_ranged(text, found, index) for index in range(len(found)))


def holds(text: str, wanted: Exact) -> bool:
    """True when the text names it, or a range that holds it. A number is named by itself, too ("10, 11 and 12")."""
    if any(_same(one, wanted) for one in exact_terms(text)):
        return True
    plain = _squeezed(text) if wanted.kind in ("code", "number") else frozenset[str]()
    return wanted.form in plain or (wanted.kind == "number" and wanted.raw in plain)


def names_another(text: str, wanted: Exact) -> bool:
    """True when the text names something else of the same kind, and not what is wanted."""
    return not holds(text, wanted) and others(text, wanted) > 0


def is_about_another(text: str, wanted: Sequence[Exact]) -> bool:
    """True when the text names something else in the place of one of `wanted`, and none of those like it.

    Of "what changed from 3.0 to 3.1?" a text on one of them is about what was asked. Amounts are passed over.
    """
    for one in wanted:
        alike = [other for other in wanted if _comparable(other, one)]
        if one.strict and names_another(text, one) and not any(holds(text, other) for other in alike):
            return True
    return False


def speaks_for(piece: str, passage: str, heading: str, wanted: Sequence[Exact]) -> bool:
    """True when a piece of a passage may answer a question that names `wanted`.

    It names no other in their place; and where the passage, but not its heading, speaks of several, it names one of them.
    """
    if is_about_another(piece, wanted):
        return False
    for one in (one for one in wanted if one.strict):
        alike = [other for other in wanted if _comparable(other, one)]
        if others(passage, one) and not any(holds(f"{heading}\n{piece}", other) for other in alike):
            return False
    return True


def meant(message: str, before: str = "") -> tuple[Exact, ...]:
    """Return what a message names, and of the text that it follows what it puts nothing else in the place of."""
    own = exact_terms(message)
    return own + tuple(one for one in exact_terms(before) if not any(_comparable(one, other) for other in own))


def others(text: str, wanted: Exact) -> int:
    """How many other things of the same kind the text names."""
    return sum(_comparable(one, wanted) and not _same(one, wanted) for one in exact_terms(text))


def _plain(text: str) -> Iterator[Exact]:
    for match in _FOUND.finditer(text):
        kind, raw = match.lastgroup, match.group()
        if match["date"] or kind is None:
            continue
        if match["amount"]:
            unit = _UNITS[(match["unit"] or match["sign"]).lower()]
            made = _made("amount", unit, (_figure(raw.removeprefix(match["least"] or "")),), raw, match)
            yield replace(made, low=(_figure(match["least"]),), high=made.value) if match["least"] else made
        elif match["version"]:
            label = _label(text, match.start())
            named = label not in _VERSION_WORDS | _NO_LABEL and not label.endswith(_CJK_VERSION)
            yield _made("version", label if named else "", _figures(raw), raw, match)
        elif match["code"]:
            if re.fullmatch(r"v\d+", raw, re.IGNORECASE):
                yield _made("version", "", _figures(raw), raw, match)
            elif not _NO_CODE.fullmatch(raw) and not raw.isdigit():
                yield _made("code", re.sub(r"[\W\d_]", "", raw).lower(), _figures(raw), raw, match)
        else:
            label = _label(text, match.start())
            if label in _VERSION_WORDS or text[max(0, match.start() - _NEAR) : match.start()].rstrip().endswith(
                _CJK_VERSION
            ):
                yield _made("version", "", _figures(raw), raw, match)
            elif label and label not in _NO_LABEL:
                yield _made("number", label, _figures(raw), raw, match)


def _made(kind: Kind, label: str, value: tuple[float, ...], raw: str, match: re.Match[str]) -> Exact:
    form = re.sub(r"[\W_]+", "", raw).lower()
    if kind == "number":
        form = label + form
    return Exact(
        kind, stem(label) if kind in ("version", "number") else label, value, form, raw, match.start(), match.end()
    )


def _figures(raw: str) -> tuple[float, ...]:
    return tuple(float(figure) for figure in re.findall(r"\d+", raw))


def _figure(raw: str) -> float:
    """The number of an amount: "1,200.50", "1.200,50", "4,90" and "4.90"."""
    found = re.search(r"\d[\d.,]*", raw)
    digits = found[0].rstrip(".,") if found else "0"
    whole, mark, rest = digits, "", ""
    last = max(digits.rfind("."), digits.rfind(","))
    if last >= 0 and (len(digits) - last - 1 != 3 or digits.count(digits[last]) == 0):
        whole, mark, rest = digits[:last], ".", digits[last + 1 :]
    return float(re.sub(r"[.,]", "", whole) + mark + rest)


def _label(text: str, start: int) -> str:
    before = _LABEL.search(text[max(0, start - 40) : start])
    return before[1].lower() if before else ""


def _ranged(text: str, found: list[Exact], index: int) -> Exact:
    """The term with the range that it begins or ends, if any."""
    one = found[index]
    before, after = text[max(0, one.start - _NEAR) : one.start], text[one.end : one.end + _NEAR]
    low = one.low or (one.value if _AND_UP.match(after) or _FROM.search(before) else None)
    high = one.high or (one.value if _AND_DOWN.match(after) or _UP_TO.search(before) else None)
    for left, right in pairwise(found[max(0, index - 1) : index + 2]):
        if left.kind == right.kind and left.value < right.value and _spans(text, left, right):
            low, high = left.value, right.value
    return replace(one, low=low, high=high)


def _spans(text: str, left: Exact, right: Exact) -> bool:
    """True for "10 to 20" and "between 10 and 20"."""
    match = _BETWEEN.fullmatch(text[left.end : right.start])
    if match is None:
        return False
    return not match["and"] or bool(_OPENS_BETWEEN.search(text[max(0, left.start - _NEAR) : left.start]))


def _same(one: Exact, wanted: Exact) -> bool:
    if not _comparable(one, wanted):
        return False
    alike = one.label == wanted.label or one.kind == wanted.kind == "version"
    if one.is_range and alike and _within(one, wanted.value):
        return True
    if one.kind == wanted.kind == "code":
        return one.form == wanted.form
    if "amount" in (one.kind, wanted.kind) or "code" in (one.kind, wanted.kind):
        return one.value == wanted.value
    # 12 is 12.4, and 3.1 is 3.1.2, said less exactly; 3.1 is not 3.10.
    shorter = min(len(one.value), len(wanted.value))
    return one.value[:shorter] == wanted.value[:shorter]


def _within(one: Exact, value: tuple[float, ...]) -> bool:
    return (one.low is None or one.low <= value) and (one.high is None or value <= one.high)


def _comparable(one: Exact, wanted: Exact) -> bool:
    """True when both name things of one kind: the same unit, label, product or form of code."""
    if one.label == wanted.label and (one.kind == wanted.kind or "amount" not in (one.kind, wanted.kind)):
        return True
    if one.kind == wanted.kind == "version":
        return not (one.label and wanted.label)
    return one.kind == wanted.kind == "code" and _shape(one) == _shape(wanted)


def _shape(one: Exact) -> str:
    """The form of a code: its letters and figures. One without a hyphen or three figures has none of its own."""
    shape = re.sub(r"\d+", "9", re.sub(r"[^\W\d_]", "A", one.raw))
    return shape if re.search(r"\W|\d{3}", one.raw) else one.form


@lru_cache(maxsize=1_000)
def _squeezed(text: str) -> frozenset[str]:
    """The words of a text without their hyphens, and each number with the word before it: "ZR 4401" is "zr4401"."""
    found = re.findall(r"[^\W_]+(?:[-/][^\W_]+)*", unicodedata.normalize("NFKC", text[:_MOST_CHARS]).lower())
    plain = [re.sub(r"\W", "", word) for word in found]
    return frozenset((*plain, *(a + b for a, b in pairwise(plain) if b.isdigit())))
