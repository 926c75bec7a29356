"""What must not change in a translation: placeholders, addresses, numbers, tags, signs, terms. No model is needed here."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

import pytest

from apps.inference.services import sentences_split
from apps.translation.markup.html import HtmlText
from apps.translation.markup.layout import Layout, PlainText
from apps.translation.markup.markdown import MarkdownText
from apps.translation.markup.marks import Mark, joined
from apps.translation.markup.protect import Glossary, Term, protected
from apps.translation.markup.segments import Translation, memory_key

Model = Callable[[Sequence[str]], Sequence[str]]


def capitals(texts: Sequence[str]) -> list[str]:
    return [text.upper() for text in texts]


def backwards(texts: Sequence[str]) -> list[str]:
    """A model that turns the order of words around."""
    return [" ".join(reversed(text.split())) for text in texts]


def careless(texts: Sequence[str]) -> list[str]:
    """A model that loses everything with a digit in it."""
    return [re.sub(r"\S*\d\S*", "", text).upper() for text in texts]


def decimal_comma(texts: Sequence[str]) -> list[str]:
    """A model that writes numbers as its language does."""
    swap = str.maketrans(",.", ".,")
    return [re.sub(r"\d[\d.,]*\d", lambda m: m[0].translate(swap), text.upper()) for text in texts]


def translated(
    text: str, model: Model = capitals, terms: Sequence[Term] = (), memory: dict[str, str] | None = None
) -> str:
    (parts,) = Translation([(text,)], split=sentences_split, glossary=Glossary(terms)).run(model, memory)
    return joined(parts)


def laid_out(layout: Layout, model: Model = capitals) -> str:
    return layout.written(Translation(layout.segments, split=sentences_split).run(model))


KEPT = [
    "{name}", "{}", "{0}", "{user.name}", "{price:.2f}", "{{ count }}", "{{user}}", "{% url 'x' %}", "${total}", "%{who}",
    "%s", "%d", "%1$s", "%.2f", "%(count)s", "%(price).2f", "%%", "$HOME_DIR", "__NAME__", "#{id}",
    "{count, plural, one {# item} other {# items}}",
    "https://shop.example/a?b=1&c=%20d#e", "www.example.com/x", "help@example.com", "@support", "shop.example.com",
    "/etc/nginx/nginx.conf", "`pip install x`", "&amp;", "&nbsp;", "AB-1234", "X200", "🙂", "👩‍💻", "→", "\ue000",
]  # fmt: skip


@pytest.mark.parametrize("model", [capitals, careless, backwards], ids=["good", "careless", "backwards"])
@pytest.mark.parametrize("kept", KEPT)
def test_what_is_no_text_stays_as_it_is(kept: str, model: Model) -> None:
    found = translated(f"your order {kept} was sent to the shop", model)
    assert found.count(kept) == 1
    assert set(re.findall(r"\w+", found.replace(kept, "").lower())) == {
        "your",
        "order",
        "was",
        "sent",
        "to",
        "the",
        "shop",
    }


@pytest.mark.parametrize("number", ["7", "1,234.56", "1.234,56", "2024-05-03", "10:30", "1.2.3", "12/34", "1'000"])
@pytest.mark.parametrize("model", [capitals, careless, decimal_comma], ids=["good", "careless", "decimal comma"])
def test_numbers_are_written_as_they_were(number: str, model: Model) -> None:
    assert f" {number} " in translated(f"it costs {number} euros", model)


def test_a_number_that_comes_twice_is_there_twice() -> None:
    assert translated("buy 3 get 3 free", careless).count("3") == 2


@pytest.mark.parametrize(
    "text", ["", " ", "\n\n", "123", "{name}", "<b></b>", "🙂", "...", "\u202e\u200f", "1 + 1 = 2"]
)
def test_what_has_no_words_is_not_given_to_the_model(text: str) -> None:
    asked: list[str] = []
    assert translated(text, lambda texts: asked.extend(texts) or list(texts)) == text
    assert asked == []


@pytest.mark.parametrize(
    "text", ["  two  spaces.  Then\n\n\n  more\n", "\ttabs\tinside\r\nand lines\r\n", "a. b! c? d"]
)
def test_white_space_and_lines_stay(text: str) -> None:
    assert laid_out(PlainText(text)) == text.upper()


TAGGED = [
    "Click <a href='/x'>here</a> to <b>reset</b> it.",
    "<p>Your <strong>order <em>is</em> late</strong>.</p>",
    "<b>Note.</b> Please wait.",
    "one<br/>two <img src=x> three",
    "<b>unclosed and </i> wrong",
    "<i><b>crossed</i></b> ends",
    "plain < sign and > sign",
]


@pytest.mark.parametrize("model", [capitals, careless], ids=["good", "careless"])
@pytest.mark.parametrize("text", TAGGED)
def test_tags_in_a_text_stay_around_their_words(text: str, model: Model) -> None:
    shouted = re.sub(r"(<[^<> ][^<>]*>)|([^<>]+)", lambda m: m[1] or m[2].upper(), text)
    assert translated(text, model) == shouted


def test_tags_whose_order_a_model_breaks_are_put_back() -> None:
    found = translated("press <b>save</b> and <i>leave</i> now", backwards)
    assert re.findall(r"<[^>]+>", found) in (["<b>", "</b>", "<i>", "</i>"], ["<i>", "</i>", "<b>", "</b>"])
    assert re.search(r"<b>\s*save\s*</b>", found)


def test_a_text_that_holds_a_marks_word_itself_keeps_it() -> None:
    assert translated("XN41 and 97001 meet {name}") == "XN41 AND 97001 MEET {name}"


def test_more_marks_than_a_sentence_can_bear_are_kept_all_the_same() -> None:
    text = " ".join(f"word {{n{number}}}" for number in range(200))
    assert translated(text) == text.replace("word", "WORD")


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("YOUR ORDER {name} IS LATE", "Your order XN41 is late"),
        ("USA EU", "USA EU"),
        ("YOUR Order", "YOUR Order"),
        ("WARNING", "WARNING"),
    ],
)
def test_capitals_alone_are_asked_for_in_small_letters_and_come_back_in_capitals(text: str, asked: str) -> None:
    seen: list[str] = []
    assert translated(text, lambda texts: seen.extend(texts) or list(texts)) == text
    assert seen == [asked]


# -- glossary and memory ---------------------------------------------------------------------------------------------
TERMS = [
    Term("cart", "cesta"), Term("shopping cart", "carrinho"), Term("US", "EUA", True), Term("NLPSuite", "NLPSuite"),
    Term("C++", "cê"), Term("x", "xis"), Term("€", "euro"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("open the cart", "OPEN THE cesta"),
        ("open the shopping cart", "OPEN THE carrinho"),
        ("Cart is open", "Cesta IS OPEN"),
        ("a cartel", "A CARTEL"),
        ("call us", "CALL US"),
        ("the US shop", "THE EUA SHOP"),
        ("NLPSuite helps", "NLPSuite HELPS"),
        ("cart", "cesta"),
        ("learn c++ now", "LEARN cê NOW"),
        ("x marks it", "xis MARKS IT"),
        ("ten € only", "TEN euro ONLY"),
    ],
)
def test_terms_are_translated_as_the_glossary_says(text: str, expected: str) -> None:
    assert translated(text, terms=TERMS) == expected
    assert translated(text, careless, TERMS) == expected


def test_memory_comes_before_the_model_for_texts_and_sentences() -> None:
    memory = {memory_key("Hello  world."): "Olá, mundo!", "Bye.": "Tchau."}
    assert translated("  Hello world.\n", memory=memory) == "  Olá, mundo!\n"
    assert translated("Say it. Bye.", memory=memory) == "SAY IT. Tchau."


def test_memory_knows_a_sentence_with_a_term_of_the_glossary() -> None:
    assert translated("Open the cart. Go on.", terms=TERMS, memory={"Open the cart.": "abra."}) == "abra. GO ON."


# -- documents in text form ------------------------------------------------------------------------------------------
HTML = """<!doctype html><html><head><title>my shop</title><style>p{color:red}</style>
<script>if (a < b) { say("<p>hi</p>") }</script></head><body class="x">
<!-- a comment --><h1>welcome</h1><p>your <b>order</b>
   is <a href="/o?a=1&amp;b=2" title="x > y">late</a>.<br>sorry</p>
<pre>code</pre><p>run <code>make run</code> now, <span translate="no">never</span> later</p><p class="a notranslate">no</p>
<p>caf&eacute; &amp; tea</p></body></html>"""


def test_html_keeps_everything_but_its_words() -> None:
    found = laid_out(HtmlText(HTML))
    expected = HTML
    for old, new in [
        ("my shop", "MY SHOP"), ("welcome", "WELCOME"), ("your <b>order</b>\n   is", "YOUR <b>ORDER</b> IS"),
        (">late<", ">LATE<"), ("sorry", "SORRY"), ("<p>run <", "<p>RUN <"), (" now, <", " NOW, <"), (" later", " LATER"),
        ("caf&eacute; &amp; tea", "CAFÉ &amp; TEA"),
    ]:  # fmt: skip
        expected = expected.replace(old, new)
    assert found == expected


def test_a_model_cannot_write_a_tag_into_html() -> None:
    assert "<script" not in laid_out(HtmlText("<p>hello</p>"), lambda texts: ["<script>x</script>"] * len(texts))


MARKDOWN = """---
title: x
---
# a heading

a paragraph with **bold words** and a [link to help](https://x.y/z "t")
that goes on with `code` and *stress*.

- [ ] an item with ~~old~~ text
1. open the page

> a quotation

```python
print("hello")
```

| name | what |
|------|:----:|
| `run` | starts |

<div align="center">centered</div>

[ref]: https://example.com

    indented code
"""


def test_markdown_keeps_everything_but_its_words() -> None:
    found = laid_out(MarkdownText(MARKDOWN))
    expected = MARKDOWN.replace('"t")\nthat', '"t") that')
    for words in [
        "a heading", "a paragraph with", "bold words", "and a", "link to help", "that goes on with", "and", "stress",
        "an item with", "old", "text", "open the page", "a quotation", "name", "what", "starts", "centered",
    ]:  # fmt: skip
        expected = re.sub(rf"(?<![\w/`]){words}(?![\w=`])(?!.*\n---)", words.upper(), expected)
    assert found == expected.replace("<DIV", "<div")


@pytest.mark.parametrize(
    "text", [HTML, MARKDOWN, "", "\n", "a\r\nb", "| a | b |", "<", "```", "---", "[", "**", "<p>", "<!--"]
)
@pytest.mark.parametrize("layout", [PlainText, HtmlText, MarkdownText])
def test_what_is_not_translated_is_given_back(layout: type[Layout], text: str) -> None:
    made = layout(text)
    written = made.written(made.segments)
    assert "".join(written.split()).replace("&eacute;", "é") == "".join(text.split()).replace("&eacute;", "é")


BOMBS = [
    "a@",
    "{",
    "%(",
    "<",
    "A-",
    "a.",
    "/a",
    "`",
    "[",
    "*a ",
    "http://",
    "<!--",
    "{a, plural,",
    "&",
    "1.",
    '<a"',
    "]((",
]


@pytest.mark.parametrize("bomb", [*BOMBS, "_", "**a", "a", " ", "🙂", '<a x="', "<b>", "\u202e", "|a"])
def test_a_line_of_a_megabyte_takes_time_in_proportion(bomb: str) -> None:
    text = bomb * (1_000_000 // len(bomb))
    begun = time.monotonic()
    protected((text,), Glossary(TERMS))
    HtmlText(text)
    MarkdownText(text)
    assert time.monotonic() - begun < 30


def test_a_mark_carries_what_is_written_in_its_place() -> None:
    assert protected(("open the Cart",), Glossary(TERMS)) == ("open the ", Mark("Cesta", term="Cart"))
