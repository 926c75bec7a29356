"""Chinese words come from a segmenter of our own: jieba's default one loads a file that anyone can leave in /tmp."""

from __future__ import annotations

import jieba

from apps.batches.services.topics import words_of
from apps.nlp.services.keywords import candidates_of


def test_the_default_segmenter_is_never_loaded() -> None:
    text = "请问退货需要多少天？退货运费由谁承担？"
    assert "退货" in [phrase for phrase, _, _ in candidates_of(text, 3)]
    assert "退货" in words_of(text)
    assert not jieba.dt.initialized
