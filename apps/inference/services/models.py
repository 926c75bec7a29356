"""The catalogue as the rest of the application sees it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from django.conf import settings

from apps.core.errors import Invalid, NotFound, Unavailable
from apps.inference.catalogue import Catalogue, catalogue_load
from apps.inference.engine.backends import capabilities_of
from apps.inference.engine.errors import ModelUnavailable
from apps.inference.types import ModelInfo, ModelSpec, Role


@cache
def _read(path: Path | None, stamp: tuple[int, int]) -> Catalogue:
    return catalogue_load(path)


def catalogue() -> Catalogue:
    """Return the catalogue of this installation, read again when its file has changed.

    Raises ModelUnavailable when it cannot be read.
    """
    path: Path | None = settings.INFERENCE_CATALOGUE
    try:
        status = path.stat() if path is not None else None
    except OSError as error:
        raise ModelUnavailable(f"the catalogue {path} cannot be read: {error}") from error
    return _read(path, (status.st_mtime_ns, status.st_size) if status is not None else (0, 0))


def model_list() -> list[ModelInfo]:
    """Return all catalogue entries, by name."""
    return [_info(spec) for _, spec in sorted(catalogue().models.items())]


def model_get(*, name: str) -> ModelInfo:
    """Return one entry. Raises NotFound."""
    spec = catalogue().models.get(name)
    if spec is None:
        raise NotFound("There is no such model.", code="model_not_found")
    return _info(spec)


def default_model(role: Role) -> ModelInfo:
    """Return the default model of `role`. Raises Unavailable "no_default_model" where the installation has none."""
    if role not in catalogue().defaults:
        raise Unavailable(f"This installation has no {role} model.", code="no_default_model")
    return _info(catalogue().default(role))


def model_of(role: Role, name: str = "") -> ModelInfo:
    """Return the model `name`, or the default of `role`. Raises NotFound, Invalid "model_role", Unavailable."""
    if not name:
        return default_model(role)
    found = model_get(name=name)
    if found.role != role:
        raise Invalid(f"{name} is a {found.role} model, not a {role} model.", code="model_role")
    return found


def _info(spec: ModelSpec) -> ModelInfo:
    return ModelInfo(
        name=spec.name,
        role=spec.role,
        backend=spec.backend,
        source=spec.source,
        revision=spec.revision,
        licence=spec.licence,
        max_tokens=spec.context_tokens,
        dim=spec.dim,
        prompt_style=spec.prompt_style,
        is_default=catalogue().defaults.get(spec.role) == spec.name,
        labels=spec.labels,
        adapters=tuple(spec.adapters),
        languages=tuple((pair[0], pair[1]) for pair in spec.options.get("pairs", ())),
        capabilities=tuple(sorted(capabilities_of(spec))),
    )
