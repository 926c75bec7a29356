"""libretranslatepy against the running product."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError

import pytest
from libretranslatepy import LibreTranslateAPI

from tests.stack import Stack

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def libre(stack: Stack) -> LibreTranslateAPI:
    return LibreTranslateAPI(f"{stack.base}/libretranslate/", api_key=stack.demo["api_key"])


def test_languages_detect_and_translate_both_ways(libre: LibreTranslateAPI) -> None:
    assert {"en", "pt"} <= {one["code"] for one in libre.languages()}
    assert libre.detect("Meu pedido ainda nao chegou e quero um reembolso.")[0]["language"] == "pt"
    assert "pedido" in libre.translate("Your order has been shipped.", "en", "pt").lower()
    assert "sent" in libre.translate("O seu pedido foi enviado ontem.", "auto", "en").lower()


def test_placeholders_and_tags_come_through_the_real_model(libre: LibreTranslateAPI) -> None:
    found = libre.translate("Hello {name}, click <a href='/x'>here</a> to see %(count)s items at 1,234.50.", "en", "pt")
    kept = ["{name}", "<a href='/x'>", "</a>", "%(count)s", "1,234.50"]
    assert [found.count(one) for one in kept] == [1] * len(kept)
    assert "olá" in found.lower()


@pytest.mark.parametrize(
    ("key", "target", "status"), [("wrong", "pt", 403), (None, "pt", 400), ("demo", "xx", 400)], ids=str
)
def test_refusals_have_the_servers_shape(stack: Stack, key: Any, target: str, status: int) -> None:
    secret = stack.demo["api_key"] if key == "demo" else key
    client = LibreTranslateAPI(f"{stack.base}/libretranslate/", api_key=secret)
    with pytest.raises(HTTPError) as caught:
        client.translate("Hello.", "en", target)
    assert caught.value.code == status
    assert set(json.loads(caught.value.read())) == {"error"}
