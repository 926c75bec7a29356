"""The analyser of searches by words: what is written and what is asked meet, whatever the script."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from apps.core.words import LAST_CHARACTER, MAX_QUERY_WORDS, terms, wanted


def _found(query: str, text: str) -> bool:
    """Whether a text is found, as the database compares: by code points, a beginning as a range."""
    has = terms(text)
    asked = wanted(query)
    return bool(asked) and all(
        any(want.term <= term <= want.term + (LAST_CHARACTER if want.beginning else "") for term in has)
        for want in asked
    )


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("refund", "I want a REFUND, please."),
        ("ref", "I want a refund."),
        ("refund parcel", "The parcel never came. Refund?"),
        ("12345", "order 12345"),
        ("#12345", "Order no. 12345!"),
        ("1234", "order 12345"),
        ("20231", "invoice INV20231"),
        ("inv20231", "INV20231"),
        ("INV-20231", "inv 20231"),
        ("2024-001", "2024-001-X"),
        ("ada@example.com", "Ada Lovelace ada@example.com"),
        ("ADA@EXAMPLE", "ada@example.com"),
        ("don't", "I don’t know"),
        ("cafe", "the Café"),
        ("CAFÉ", "cafe"),
        ("Uber", "über"),
        ("strasse", "Straße"),
        ("straße", "STRASSE"),
        ("istanbul", "İstanbul"),
        ("diyarbakir", "Diyarbakır"),
        ("oresund", "Øresund"),
        ("lodz", "Łódź"),
        ("ελλας", "Ελλάς"),
        ("ель", "Ёль"),
        ("full", "ＦＵＬＬ　ｗｉｄｔｈ"),
        ("退款", "我想要退款，谢谢"),
        ("款", "我想要退款，谢谢"),
        ("谢", "退款，谢谢"),
        ("我想退", "我想退货"),
        ("キャンセル", "注文をキャンセルしたい"),
        ("환불", "주문환불요청"),
        ("คืนเงิน", "ขอคืนเงินด้วย"),
        ("हिन्दी", "मुझे हिन्दी चाहिए"),
        ("محمد", "مُحَمَّد"),
        ("שלום", "שָׁלוֹם"),
        ("iphone屏幕", "我的iPhone屏幕碎了"),
        ("🙏", "please 🙏"),
        ("e\u0301te\u0301", "été"),
        ("x" * 60, "x" * 50),
    ],
)
def test_what_is_asked_is_found(query: str, text: str) -> None:
    assert _found(query, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("fund", "refund"),
        ("refunds", "refund"),
        ("refund parcel", "refund"),
        ("12345", "1234"),
        ("退货", "我想要退款"),
        ("款退", "退款"),
        ("हिन्दू", "हिन्दी"),
        ("%", "100 %"),
        ("_", "a_b"),
        ("...", "..."),
        ("", "text"),
        ("   ", "text"),
        ("\x00", "text"),
    ],
)
def test_what_is_not_said_is_not_found(query: str, text: str) -> None:
    assert not _found(query, text)


@pytest.mark.parametrize(
    "text",
    ["a" * 10_000, "退" * 10_000, "\u0301" * 10_000, "a\u200b" * 5_000, "\ufdfa" * 10_000, "🙏" * 10_000, "ก" * 10_000],
)
def test_terms_are_short_and_few(text: str) -> None:
    found = terms(text)
    assert max(map(len, found), default=0) <= 40
    assert len(found) <= len(text)
    assert len(wanted(text)) <= MAX_QUERY_WORDS


def test_every_character_makes_terms_that_are_found_again() -> None:
    """What a text says, asked for as it stands, is found: no folding parts the two."""
    letters = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isalnum()]
    assert [letter for letter in letters if wanted(letter) and not _found(letter, f"x {letter} y")] == []
    # Vowel points of Arabic in shapes of their own, and the stretch, are no letters.
    assert {unicodedata.name(letter).split()[0] for letter in letters if not wanted(letter)} == {"ARABIC"}
    assert sum(not wanted(letter) for letter in letters) < 30
