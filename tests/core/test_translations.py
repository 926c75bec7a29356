"""Every text a person can see has a Simplified Chinese translation, and scripts ask only for texts that exist."""

from __future__ import annotations

import gettext
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils.translation.template import templatize

from apps.console.messages import OPERATIONS_MESSAGES
from apps.core.management.commands.compile_catalogs import catalogue_compile
from apps.inbox.messages import CONSOLE_MESSAGES
from apps.nlp.services.intents import SUPPORT_INTENTS
from apps.studio.messages import STUDIO_MESSAGES
from apps.studio.messages_batches import BATCH_MESSAGES
from apps.widget.messages import FRAME_MESSAGES

ROOT = Path(settings.BASE_DIR)
KEYWORDS: dict[str, Any] = dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop")) | {
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
}
SCRIPT_KEY = re.compile(r'\bt\("(\w+)"')


def _texts_of(source: str) -> Iterator[str]:
    for _, message, *_ in extract("python", io.BytesIO(source.encode()), KEYWORDS):
        yield message if isinstance(message, str) else message[0]


def _texts() -> list[str]:
    found = {text for path in ROOT.glob("apps/**/*.py") for text in _texts_of(path.read_text())}
    for path in ROOT.glob("templates/**/*.html"):
        found.update(_texts_of(templatize(path.read_text(), origin=str(path))))
    return sorted(found)


CATALOGUE_PATH = ROOT / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
CATALOGUE = read_po(CATALOGUE_PATH.open("rb"), locale="zh_Hans")


@pytest.mark.parametrize("text", _texts())
def test_each_text_is_translated(text: str) -> None:
    message = CATALOGUE.get(text)
    assert message is not None, f"{text!r} is not in {CATALOGUE_PATH.name}"
    assert message.string, f"{text!r} has no Chinese text"


@pytest.mark.parametrize("text", [text for text in _texts() if "{" in text])
def test_a_translation_keeps_its_places(text: str) -> None:
    message = CATALOGUE.get(text)
    assert message is not None
    assert sorted(re.findall(r"\{\w+\}", str(message.string))) == sorted(re.findall(r"\{\w+\}", text))


@pytest.mark.parametrize(
    ("folders", "messages"),
    [
        (("static/widget/frame", "static/js/lib"), FRAME_MESSAGES),
        (("static/inbox", "static/js/lib"), CONSOLE_MESSAGES),
        (("static/console",), OPERATIONS_MESSAGES),
        (("static/studio/batches",), STUDIO_MESSAGES | BATCH_MESSAGES),
    ],
    ids=["frame", "console", "operations", "batches"],
)
def test_scripts_ask_only_for_texts_of_their_catalogue(folders: tuple[str, ...], messages: dict[str, Any]) -> None:
    sources = [path.read_text() for folder in folders for path in (ROOT / folder).glob("*.js")]
    asked = {key for source in sources for key in SCRIPT_KEY.findall(source)}
    assert asked - set(messages) == set()


def test_the_studios_scripts_ask_only_for_texts_of_their_catalogue() -> None:
    # Batches and translation have catalogues of their own.
    paths = [path for path in (ROOT / "static/studio").glob("*.js") if not path.name.startswith(("batch", "translat"))]
    asked = {key for path in paths for key in SCRIPT_KEY.findall(path.read_text())}
    assert asked - set(STUDIO_MESSAGES) == set()


def test_a_catalogue_compiles_to_what_gettext_reads(tmp_path: Path) -> None:
    folder = tmp_path / "zh_Hans" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    source = folder / "django.po"
    source.write_bytes(CATALOGUE_PATH.read_bytes())
    assert catalogue_compile(source)
    assert not catalogue_compile(source)
    with (folder / "django.mo").open("rb") as file:
        assert gettext.GNUTranslations(file).gettext("Sign in") == "登录"


@pytest.mark.parametrize("messages", [CONSOLE_MESSAGES, STUDIO_MESSAGES], ids=["console", "studio"])
def test_every_intent_has_a_name_for_people(messages: dict[str, Any]) -> None:
    # The key that static/js/lib/intents.js makes of a label.
    keys = {f"intent_{re.sub('[^a-z]+', '_', intent)}": intent for intent in SUPPORT_INTENTS}
    assert {key: str(text) for key, text in messages.items() if key.startswith("intent_")} == keys
