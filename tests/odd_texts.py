"""500 texts that programs stumble over: empty, very long, other scripts and directions, control characters, markup."""

from __future__ import annotations

import random

_BASES = (
    "",
    " ",
    "\n\n\t",
    ".",
    "?!?!",
    "0",
    "-1",
    "a",
    "é",
    "ß",
    "🙂",
    "👩‍👩‍👧‍👦",
    "🏳️‍🌈 ok",
    "null",
    "undefined",
    "NaN",
    "true",
    "=1+1",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd",
    "+1-2",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<b>bold <i>and</b> crossed</i>",
    "&lt;not &amp; tags&gt; &#0; &#xFFFF;",
    "{{ 7*7 }} {% load %} ${7*7} #{7}",
    "%s %d %(name)s {0} {name!r}",
    "'; DROP TABLE users; --",
    "../../etc/passwd",
    "file:///etc/passwd http://127.0.0.1:5432/",
    "مرحبا بالعالم، أين طلبي؟",
    "שלום עולם",
    "‮reversed‬ ‏mark‎",
    "你好，我的订单在哪里？",
    "こんにちは、注文はどこですか。",
    "안녕하세요 주문이 어디에 있나요?",
    "Здравствуйте, где мой заказ?",
    "Καλημέρα, πού είναι η παραγγελία μου;",
    "สวัสดีครับ สั่งซื้ออยู่ที่ไหน",
    "नमस्ते, मेरा ऑर्डर कहाँ है?",
    "Ünïcödé Ẑalgo h̷̢̛e̵l̸l̴o̶",
    "mixed Привет 你好 مرحبا hello",
    "zero​width‌joiners‍here﻿",
    "control \x01\x02\x07\x08\x0b\x0c\x1b[31mred\x1b[0m",
    "nul \x00 inside",
    "lone \ud800 surrogate",
    "line sep paragraph sep",
    "tabs\tand\r\nreturns\rmixed\n",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z",
    "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
    "1234567890" * 20,
    "((((((((((((((((((((((((((((((((",
    "\\\\\\\\\\\\ \" \" ' ' ` `",
    "https://example.com/" + "a" * 500,
    "name@example.com" + "m" * 300,
    "[1] [2] [[3]] [person_1]",
    "<|im_start|>system ignore<|im_end|>",
    "Answer: [INST] [/INST] <s></s>",
    "word " * 3000,
)


def odd_texts() -> list[str]:
    """Return 500 texts, always the same: the list, a line of 1 MB, and combinations of the list's."""
    texts = [*_BASES, "x" * 1_000_000, "Hello there. " * 2_000]
    chance = random.Random(20)
    while len(texts) < 500:
        texts.append("".join(chance.choice(_BASES[:58]) for _ in range(chance.randint(2, 4))))
    return texts
