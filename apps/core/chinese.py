"""Chinese text cut into words. Pure, no Django."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

_cache_dir: Path | None = None


def cache_dir_set(path: Path) -> None:
    """Say where the segmenter may keep its compiled dictionary: a folder that nobody else can write to."""
    global _cache_dir
    _cache_dir = path


@cache
def segmenter() -> Any:
    """Return jieba's tokenizer (about 1 s and 60 MB on first use, hence only when there is Chinese text).

    Never jieba's own default one: it loads its dictionary from the shared temporary folder, where anyone can leave a file.
    """
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    if _cache_dir is not None:
        _cache_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        tokenizer.tmp_dir = str(_cache_dir)
    tokenizer.initialize()
    return tokenizer
