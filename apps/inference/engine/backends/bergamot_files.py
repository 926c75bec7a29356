"""The files of a Bergamot model: tensors and the lexical shortlist. Numbers only, and every length is checked.

Formats: marian-dev, src/common/binary.cpp and src/data/shortlist.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.inference.engine.errors import ModelUnavailable
from apps.inference.engine.types import FloatArray

_VERSION = 1
_INT8, _FLOAT32 = 0x4101, 0x0404
_MAX_TENSORS, _MAX_DIMENSIONS = 4096, 4
_SHORTLIST_MAGIC = 0xF11A48D5013417F5


@dataclass(frozen=True, slots=True)
class Integers:
    """A weight matrix (outputs, inputs): the weight is `values` times `scale`."""

    values: NDArray[np.int8]
    scale: float


@dataclass(frozen=True, slots=True)
class MarianFile:
    """What a model file holds: matrices of integers, and vectors of float32."""

    matrices: dict[str, Integers]
    vectors: dict[str, FloatArray]

    def depth(self, part: str) -> int:
        """Return how many layers the encoder or decoder has."""
        return len({name.split("_")[1] for name in self.matrices if name.startswith(f"{part}_l")})


def marian_read(path: Path) -> MarianFile:
    """Return the tensors of a Marian binary file. Raises ModelUnavailable for anything else."""
    raw = path.read_bytes()
    try:
        return _tensors(raw)
    except (struct.error, ValueError, OverflowError) as error:
        raise ModelUnavailable(f"{path.name} is no Marian model: {error}") from error


def _tensors(raw: bytes) -> MarianFile:
    version, count = struct.unpack_from("<QQ", raw)
    if version != _VERSION or count > _MAX_TENSORS:
        raise ValueError(f"version {version}, {count} tensors")
    heads = [struct.unpack_from("<QQQQ", raw, 16 + 32 * index) for index in range(count)]
    place = 16 + 32 * count
    names: list[str] = []
    for length, *_ in heads:
        names.append(raw[place : place + length].rstrip(b"\0").decode())
        place += length
    shapes: list[tuple[int, ...]] = []
    for _, _, dimensions, _ in heads:
        if dimensions > _MAX_DIMENSIONS:
            raise ValueError(f"a tensor of {dimensions} dimensions")
        shapes.append(struct.unpack_from(f"<{dimensions}i", raw, place))
        place += 4 * dimensions
    place += 8 + struct.unpack_from("<Q", raw, place)[0]
    found = MarianFile({}, {})
    for (_, kind, _, size), name, shape in zip(heads, names, shapes, strict=True):
        _add(found, name, kind, shape, raw[place : place + size])
        place += size
    if place > len(raw):
        raise ValueError("it ends early")
    return found


def _add(found: MarianFile, name: str, kind: int, shape: tuple[int, ...], raw: bytes) -> None:
    if name.endswith("_QuantMultA"):
        # Scales for activations of 8 bits, which are not used here.
        return
    if kind == _INT8:
        rows, columns = shape
        values = np.frombuffer(raw, np.int8, rows * columns)
        scale = 1.0 / struct.unpack_from("<f", raw, rows * columns)[0]
        # Matrices are stored transposed, but for the embeddings.
        found.matrices[name] = Integers(values.reshape(shape if name == "Wemb" else (columns, rows)), scale)
    elif kind == _FLOAT32:
        found.vectors[name] = np.frombuffer(raw, np.float32, int(np.prod(shape))).copy()


class Shortlist:
    """Which words may translate a sentence: the most frequent ones, and those listed for its words."""

    def __init__(self, path: Path, vocabulary: int) -> None:
        raw = path.read_bytes()
        try:
            magic, _, frequent, _, offsets, words = struct.unpack_from("<6Q", raw)
            if magic != _SHORTLIST_MAGIC or frequent > vocabulary or offsets != vocabulary + 1:
                raise ValueError("its header is wrong")
            self._offsets = np.frombuffer(raw, np.uint64, offsets, 48).astype(np.int64)
            self._words = np.frombuffer(raw, np.uint32, words, 48 + 8 * offsets).astype(np.int64)
        except (struct.error, ValueError) as error:
            raise ModelUnavailable(f"{path.name} is no shortlist: {error}") from error
        in_order = bool((np.diff(self._offsets) >= 0).all() and self._offsets[0] >= 0)
        if not in_order or self._offsets[-1] > words or (words and int(self._words.max()) >= vocabulary):
            raise ModelUnavailable(f"{path.name} is no shortlist: it points outside the vocabulary")
        self._frequent = np.arange(frequent)

    def words(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sorted ids that may be produced for a sentence of these ids."""
        lists = [self._words[self._offsets[one] : self._offsets[one + 1]] for one in np.unique(ids)]
        return np.unique(np.concatenate([self._frequent, *lists]))
