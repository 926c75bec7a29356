"""/api/v1/analysis/classifiers: an organisation's own classifiers."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from apps.accounts.access import principal_of
from apps.accounts.types import Principal
from apps.nlp.services.classifiers import (
    MAX_EXAMPLES,
    classifier_activate,
    classifier_create,
    classifier_delete,
    classifier_get,
    classifier_teach,
    classifiers_list,
    examples_list,
)
from apps.usage.services import idempotent

router = Router(tags=["classifiers"])


class Example(Schema):
    text: str
    label: str


class ClassifierIn(Schema):
    name: str
    examples: list[Example] = Field(max_length=MAX_EXAMPLES)


class ExamplesIn(Schema):
    examples: list[Example] = Field(max_length=MAX_EXAMPLES)
    replace: bool = False


class ActivateIn(Schema):
    version: int


def _principal(request: HttpRequest, scope: str) -> Principal:
    principal = principal_of(request)
    principal.require(scope)
    return principal


def _plain(examples: list[Example]) -> list[dict[str, str]]:
    return [{"text": one.text, "label": one.label} for one in examples]


@router.get("")
def classifiers(request: HttpRequest, cursor: str = "", limit: int = 50) -> dict[str, Any]:
    """Classifiers, newest first."""
    principal = _principal(request, "analysis:use")
    rows, following = classifiers_list(tenant_id=principal.tenant_id, cursor=cursor, limit=limit)
    return {"items": [row.as_dict() for row in rows], "next_cursor": following}


@router.post("", response={202: dict})
@idempotent
def classifier_make(request: HttpRequest, body: ClassifierIn) -> tuple[int, dict[str, Any]]:
    """Teach a classifier with examples; training takes seconds, `status` says when it is ready."""
    principal = _principal(request, "analysis:write")
    made = classifier_create(
        tenant_id=principal.tenant_id, name=body.name, examples=_plain(body.examples), actor=principal.actor
    )
    return 202, made.as_dict()


@router.get("/{classifier_id}")
def classifier_one(request: HttpRequest, classifier_id: str) -> dict[str, Any]:
    """A classifier, by id or name, with its versions and how well each did in cross-validation."""
    principal = _principal(request, "analysis:use")
    return classifier_get(tenant_id=principal.tenant_id, reference=classifier_id).as_dict()


@router.delete("/{classifier_id}", response={204: None})
def classifier_remove(request: HttpRequest, classifier_id: str) -> tuple[int, None]:
    """Remove a classifier with its examples and versions."""
    principal = _principal(request, "analysis:write")
    classifier_delete(tenant_id=principal.tenant_id, reference=classifier_id, actor=principal.actor)
    return 204, None


@router.get("/{classifier_id}/examples")
def classifier_examples(request: HttpRequest, classifier_id: str) -> dict[str, Any]:
    """The examples, at most 5,000."""
    principal = _principal(request, "analysis:write")
    return {"items": examples_list(tenant_id=principal.tenant_id, reference=classifier_id)}


@router.post("/{classifier_id}/examples", response={202: dict})
@idempotent
def classifier_more(request: HttpRequest, classifier_id: str, body: ExamplesIn) -> tuple[int, dict[str, Any]]:
    """Add or replace examples and train a new version; the active one answers until then."""
    principal = _principal(request, "analysis:write")
    taught = classifier_teach(
        tenant_id=principal.tenant_id,
        reference=classifier_id,
        examples=_plain(body.examples),
        replace=body.replace,
        actor=principal.actor,
    )
    return 202, taught.as_dict()


@router.post("/{classifier_id}/activate")
def classifier_use(request: HttpRequest, classifier_id: str, body: ActivateIn) -> dict[str, Any]:
    """Let another trained version answer: the way back."""
    principal = _principal(request, "analysis:write")
    return classifier_activate(
        tenant_id=principal.tenant_id, reference=classifier_id, version=body.version, actor=principal.actor
    ).as_dict()
