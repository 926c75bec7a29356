"""Models in the forms that the peers read, made once from the installed packages and kept under `.data/bench`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from apps.inference.catalogue import MINILM, SMOLLM2
from apps.inference.engine.weights import weights_locate, weights_size_bytes
from bench.paths import CACHE, PEER_PYTHON, PRODUCT_PYTHON, ROOT
from bench.players import Absent
from bench.progress import say

MAKE_S = 600


def chat_gguf() -> Path:
    """Return the packaged chat model."""
    return weights_locate(SMOLLM2)


def chat_q8() -> Path:
    """Return the packaged chat model rewritten as Q8_0. Raises Absent."""
    return _made("chat-q8", chat_gguf(), PRODUCT_PYTHON) / "model.gguf"


def embedding_folder() -> Path:
    """Return the packaged sentence encoder."""
    return weights_locate(MINILM)


def reference() -> Path:
    """Return a folder with the packaged chat model in float32: what every answer is compared with. Raises Absent."""
    return _made("reference", chat_gguf(), PEER_PYTHON if PEER_PYTHON.exists() else PRODUCT_PYTHON)


def ctranslate2_generator() -> Path:
    """Return the same model for CTranslate2. Raises Absent."""
    return _made("ctranslate2-generator", reference(), PEER_PYTHON)


def ctranslate2_encoder() -> Path:
    """Return the sentence encoder for CTranslate2. Raises Absent."""
    return _made("ctranslate2-encoder", embedding_folder(), PEER_PYTHON)


def classifier() -> Path:
    """Return a sequence classifier: the packaged encoder under a head of fixed random weights. Raises Absent."""
    return _made("classifier", embedding_folder(), PRODUCT_PYTHON)


def _made(name: str, source: Path, python: Path) -> Path:
    """Return the folder `name`, made by `bench.peers.make` when it is not there yet, or from other weights."""
    folder = CACHE / name
    stamp = {"source": str(source), "bytes": weights_size_bytes(source)}
    noted = folder / "made_from.json"
    if noted.exists() and json.loads(noted.read_text()) == stamp:
        return folder
    say(f"making {name} (once)")
    CACHE.mkdir(parents=True, exist_ok=True)
    command = [python, "-m", "bench.peers.make", name, source, folder]
    try:
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=MAKE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Absent(f"{name} cannot be made: {error}") from error
    if done.returncode:
        raise Absent(f"{name} cannot be made: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    noted.write_text(json.dumps(stamp))
    return folder
