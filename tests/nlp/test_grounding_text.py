"""Sentences and words."""

from __future__ import annotations

import random

import pytest

from apps.nlp.services.grounding.text import SentenceBuffer, content_terms, passage_sentences, sentences, tokens

STREAM = """Use e.g. lintian 2.5. It runs `dpkg -i a. b`! See https://a.org/x.html. See Dr. Smith etc. for help. Really? Yes.

Steps:
- first do this. Then that
- second item
  continued here
1. one
12. twelve

```
code. More code
x
```
After code. 你好。我们有退款政策！ “Quoted.” Next v1.2.3. Price is 3.50. J. Smith said so. end"""


def pieces(text: str, seed: int) -> list[str]:
    """Cut `text` into random pieces of 1 to 7 characters."""
    source, found, start = random.Random(seed), [], 0
    while start < len(text):
        end = start + source.randint(1, 7)
        found.append(text[start:end])
        start = end
    return found


@pytest.mark.parametrize("seed", range(40))
def test_sentences_do_not_depend_on_how_the_stream_is_cut(seed):
    buffer = SentenceBuffer()
    found = [s for piece in pieces(STREAM, seed) for s in buffer.feed(piece)] + buffer.flush()
    assert found == sentences(STREAM)


def test_offsets_point_at_the_sentence_in_code_points():
    assert [STREAM[s.start : s.end] for s in sentences(STREAM)] == [s.text for s in sentences(STREAM)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ask e.g. Dr. Who. Then go.", ["Ask e.g. Dr. Who.", "Then go."]),
        ("It costs 3.50 a month. Pay now.", ["It costs 3.50 a month.", "Pay now."]),
        ("See https://a.example/b.html. Done.", ["See https://a.example/b.html.", "Done."]),
        ("Use lintian. debdiff compares.", ["Use lintian.", "debdiff compares."]),
        ("你好。我们有退款政策！谢谢", ["你好。", "我们有退款政策！", "谢谢"]),
        ("Do this:\n- one\n- two. Three\nEnd.", ["Do this:", "- one", "- two.", "Three\nEnd."]),
        ("a line that\nwraps here. Next.", ["a line that\nwraps here.", "Next."]),
        ("1. Open it. 2 files remain.", ["1. Open it.", "2 files remain."]),
    ],
)
def test_sentence_boundaries(text, expected):
    assert [s.text for s in sentences(text)] == expected


def test_a_sentence_is_held_back_until_the_next_one_starts():
    buffer = SentenceBuffer()
    assert buffer.feed("It takes 3.") == []
    assert buffer.feed("5 days") == []
    assert [s.text for s in buffer.feed(". It")] == ["It takes 3.5 days."]


def test_lines_of_a_passage_are_never_joined():
    assert [s.text for s in passage_sentences("see the\nlist\n- a\n- b")] == ["see the", "list", "- a", "- b"]


def test_identifiers_stay_whole():
    found = [
        t.raw for t in tokens("Run dpkg-buildpackage -sa in debian/rules as a.b@c.org for 1:2.4.3-4+deb11u1 at 10%")
    ]
    assert [w for w in found if len(w) > 3 or w in ("-sa", "10%")] == [
        "dpkg-buildpackage", "-sa", "debian/rules", "a.b@c.org", "1:2.4.3-4+deb11u1", "10%",
    ]  # fmt: skip


def test_content_terms_are_stemmed_and_leave_out_grammar():
    assert content_terms("How do I upload the packages?") == ("upload", "packag")
