"""The catalogue as the rest of the application sees it."""

from __future__ import annotations

from functools import cache

from django.conf import settings

from apps.core.errors import NotFound
from apps.inference.catalogue import Catalogue, catalogue_load
from apps.inference.types import ModelInfo, ModelSpec, Role


@cache
def catalogue() -> Catalogue:
    """Return the catalogue of this installation, read once per process. Raises ModelUnavailable when it is wrong."""
    return catalogue_load(settings.INFERENCE_CATALOGUE)


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
    """Return the default model of `role` ("chat" or "embedding")."""
    return _info(catalogue().default(role))


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
    )
