"""An organisation's own classifiers: taught with examples, trained in seconds, versioned."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from django.db.models import Count
from safetensors.numpy import save

from apps.core.clock import now
from apps.core.errors import Conflict, Invalid, TooLarge
from apps.core.pagination import paginate
from apps.core.tenancy import tenant_scope
from apps.events.services import audit_record
from apps.inference.services import default_model
from apps.inference.types import LinearHead
from apps.jobs.services import JobContext, job_enqueue
from apps.nlp.access import access_classifier_by_reference
from apps.nlp.models import Classifier, ClassifierExample, ClassifierVersion
from apps.nlp.services.heads import vectors_of
from apps.nlp.types import ClassifierInfo, VersionInfo
from apps.translation.types import Call

# Kept from the app that it came from: jobs that wait, and processes of the version before, know it by this name.
TRAIN = "analysis.classifier_train"
MAX_CLASSIFIERS = 200
MAX_EXAMPLES = 5_000
MAX_LABELS = 50
MAX_TEXT = 4_000
MIN_PER_LABEL = 2
# Versions kept, the active one besides.
KEPT_VERSIONS = 20
_FOLDS = 5
_STRENGTHS = (1.0, 10.0, 100.0)
_TRAIN_S = 300.0


def classifier_create(
    *, tenant_id: uuid.UUID, name: str, examples: Sequence[Mapping[str, str]], actor: str
) -> ClassifierInfo:
    """Keep the examples and start training the first version.

    Limits: 5,000 examples of 4,000 characters, 2 to 50 labels with at least 2 examples each, 200 classifiers.
    Errors: Invalid "classifier_invalid", "examples_invalid"; Conflict "classifier_exists"; TooLarge.
    Effects: rows, a job, an audit row.
    """
    cleaned = " ".join(name.replace("\x00", "").split())[:80]
    if not cleaned:
        raise Invalid("A classifier needs a name.", code="classifier_invalid")
    with tenant_scope(tenant_id):
        if Classifier.objects.filter(name=cleaned).exists():
            raise Conflict("There is a classifier of this name.", code="classifier_exists")
        if Classifier.objects.count() >= MAX_CLASSIFIERS:
            raise TooLarge(f"At most {MAX_CLASSIFIERS} classifiers can be kept.", code="too_many_classifiers")
        classifier = Classifier.objects.create(name=cleaned)
        audit_record(action="classifier.created", actor=actor, target=str(classifier.id), data={"name": cleaned})
        return _taught(classifier, examples)


def classifier_teach(
    *, tenant_id: uuid.UUID, reference: str, examples: Sequence[Mapping[str, str]], replace: bool, actor: str
) -> ClassifierInfo:
    """Add examples (or replace all) and train a new version; the active one answers until it is ready.

    A text that is known gets its new label. Errors as `classifier_create`; NotFound; Conflict "classifier_busy".
    """
    with tenant_scope(tenant_id):
        classifier = access_classifier_by_reference(reference=reference)
        classifier = Classifier.objects.select_for_update().get(id=classifier.id)
        if classifier.versions.filter(status="training").exists():
            raise Conflict("This classifier is being trained.", code="classifier_busy")
        if replace:
            classifier.examples.all().delete()
        audit_record(action="classifier.taught", actor=actor, target=str(classifier.id), data={"added": len(examples)})
        return _taught(classifier, examples)


def classifier_activate(*, tenant_id: uuid.UUID, reference: str, version: int, actor: str) -> ClassifierInfo:
    """Let another trained version answer: the way back. Errors: NotFound; Conflict "classifier_not_ready"."""
    with tenant_scope(tenant_id):
        classifier = access_classifier_by_reference(reference=reference)
        if not classifier.versions.filter(number=version, status="ready").exists():
            raise Conflict("There is no trained version of this number.", code="classifier_not_ready")
        Classifier.objects.filter(id=classifier.id).update(active_version=version)
        audit_record(action="classifier.activated", actor=actor, target=str(classifier.id), data={"version": version})
        classifier.refresh_from_db()
        return _info(classifier)


def classifier_delete(*, tenant_id: uuid.UUID, reference: str, actor: str) -> None:
    """Remove a classifier with its examples and versions. Raises NotFound."""
    with tenant_scope(tenant_id):
        classifier = access_classifier_by_reference(reference=reference)
        audit_record(action="classifier.deleted", actor=actor, target=str(classifier.id), data={})
        classifier.delete()


def classifier_get(*, tenant_id: uuid.UUID, reference: str) -> ClassifierInfo:
    """Return a classifier by id or name. Raises NotFound."""
    with tenant_scope(tenant_id):
        return _info(access_classifier_by_reference(reference=reference))


def classifiers_list(
    *, tenant_id: uuid.UUID, cursor: str = "", limit: int = 50
) -> tuple[list[ClassifierInfo], str | None]:
    """Return classifiers, newest first."""
    with tenant_scope(tenant_id):
        rows, following = paginate(Classifier.objects.all(), cursor=cursor, limit=limit)
        return _infos(rows), following


def examples_list(*, tenant_id: uuid.UUID, reference: str) -> list[dict[str, str]]:
    """Return all examples as `{"text", "label"}`: at most 5,000. Raises NotFound."""
    with tenant_scope(tenant_id):
        classifier = access_classifier_by_reference(reference=reference)
        rows = classifier.examples.order_by("label", "id").values_list("text", "label")
        return [{"text": text, "label": label} for text, label in rows]


def classifier_train(ctx: JobContext) -> None:
    """Job: train the version that the payload names, and let it answer when nothing newer does."""
    classifier_id, number = ctx.payload["classifier_id"], ctx.payload["number"]
    with tenant_scope(ctx.tenant_id):
        rows = list(
            ClassifierExample.objects.filter(classifier_id=classifier_id).order_by("id").values_list("text", "label")
        )
    call = Call(ctx.tenant_id, "batch", time.monotonic() + _TRAIN_S)
    ctx.progress(0, 2, "reading the examples")
    model = default_model("embedding")
    vectors = vectors_of(call, [text for text, _ in rows], model=model.name, check=ctx.check)
    ctx.progress(1, 2, "training")
    labels, head, metrics = head_fit(vectors, [label for _, label in rows], check=ctx.check)
    with ctx.finishing():
        ClassifierVersion.objects.filter(classifier_id=classifier_id, number=number).update(
            status="ready",
            labels=labels,
            head=save({"weights": head.weights, "bias": head.bias}),
            embedding_model=model.name,
            embedding_revision=model.revision,
            examples_count=len(rows),
            metrics=metrics,
            finished_at=now(),
        )
        Classifier.objects.filter(id=classifier_id, active_version__lt=number).update(active_version=number)
        _forget_old(classifier_id)


def classifier_train_ended(ctx: JobContext, status: str, code: str) -> None:
    """The training ended without a head."""
    ClassifierVersion.objects.filter(classifier_id=ctx.payload["classifier_id"], number=ctx.payload["number"]).update(
        status="failed", error_code=(code or status)[:60], finished_at=now()
    )


def head_fit(
    vectors: Any, labels: Sequence[str], *, check: Callable[[], None] = lambda: None
) -> tuple[list[str], LinearHead, dict[str, Any]]:
    """Return labels, a logistic regression over unit vectors, and what cross-validation says of it.

    The strength of regularisation is the one with the best macro-F1 in (at most 5-fold) cross-validation; `baseline` is
    the accuracy of always saying the commonest label. Labels with few examples make the figures rough. `check` is called
    before each of the 16 fits, of up to some seconds, and may raise to stop.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, f1_score
    from sklearn.model_selection import StratifiedKFold

    counts, known = Counter(labels), np.array(labels)
    folds = StratifiedKFold(min(_FOLDS, min(counts.values())), shuffle=True, random_state=0)
    tried = []
    for strength in _STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=1000, class_weight="balanced")
        guessed = np.empty(len(known), dtype=known.dtype)
        for inside, outside in folds.split(vectors, known):
            check()
            guessed[outside] = model.fit(vectors[inside], known[inside]).predict(vectors[outside])
        tried.append((float(f1_score(labels, guessed, average="macro")), -strength, guessed))
    check()
    best_f1, negative, guessed = max(tried, key=lambda one: one[:2])
    fitted = LogisticRegression(C=-negative, max_iter=1000, class_weight="balanced").fit(vectors, labels)
    weights, bias = fitted.coef_, fitted.intercept_
    if len(weights) == 1:  # two labels: one row says how much the second is likelier
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    metrics = {
        "accuracy": round(float(accuracy_score(labels, guessed)), 4),
        "macro_f1": round(best_f1, 4),
        "baseline": round(max(counts.values()) / len(labels), 4),
        "folds": folds.n_splits,
    }
    # scikit-learn's weights lie column by column in memory, and safetensors writes memory as it lies.
    head = LinearHead(np.ascontiguousarray(weights, dtype=np.float32), np.ascontiguousarray(bias, dtype=np.float32))
    return [str(label) for label in fitted.classes_], head, metrics


def _taught(classifier: Classifier, examples: Sequence[Mapping[str, str]]) -> ClassifierInfo:
    """Keep the examples and enqueue a training, in the open scope."""
    rows = {_digest(text): (text, label) for text, label in map(_example, examples)}
    ClassifierExample.objects.bulk_create(
        [
            ClassifierExample(classifier=classifier, tenant_id=classifier.tenant_id, text=text, label=label, digest=key)
            for key, (text, label) in rows.items()
        ],
        batch_size=500,
        # A text that is known gets its new label.
        update_conflicts=True,
        unique_fields=["tenant_id", "classifier", "digest"],
        update_fields=["label"],
    )
    counts = _counts(classifier)
    if sum(counts.values()) > MAX_EXAMPLES:
        raise TooLarge(f"A classifier has at most {MAX_EXAMPLES} examples.", code="too_many_examples")
    few = sorted(label for label, count in counts.items() if count < MIN_PER_LABEL)
    if not 2 <= len(counts) <= MAX_LABELS or few:
        raise Invalid(
            f"A classifier needs 2 to {MAX_LABELS} labels with at least {MIN_PER_LABEL} examples each.",
            code="examples_invalid",
            details={"labels": len(counts), "too_few": few[:20]},
        )
    classifier.last_version += 1
    classifier.save()
    classifier.versions.create(number=classifier.last_version, labels=sorted(counts))
    job_enqueue(
        tenant_id=classifier.tenant_id,
        kind=TRAIN,
        payload={"classifier_id": str(classifier.id), "number": classifier.last_version},
    )
    return _info(classifier)


def _example(given: Mapping[str, str]) -> tuple[str, str]:
    text = given.get("text", "").replace("\x00", "").strip()
    label = " ".join(given.get("label", "").replace("\x00", "").split())
    if not text or len(text) > MAX_TEXT or not label or len(label) > 60:
        raise Invalid(
            f"An example has a text of 1 to {MAX_TEXT} characters and a label of 1 to 60.", code="examples_invalid"
        )
    return text, label


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _counts(classifier: Classifier) -> dict[str, int]:
    rows = classifier.examples.values("label").annotate(count=Count("id")).order_by("label")
    return {row["label"]: row["count"] for row in rows}


def _forget_old(classifier_id: str) -> None:
    """Remove versions beyond those kept."""
    active = Classifier.objects.get(id=classifier_id).active_version
    numbers = ClassifierVersion.objects.filter(classifier_id=classifier_id).order_by("-number")
    old = list(numbers.exclude(number=active).values_list("number", flat=True)[KEPT_VERSIONS:])
    ClassifierVersion.objects.filter(classifier_id=classifier_id, number__in=old).delete()


def _infos(classifiers: Sequence[Classifier]) -> list[ClassifierInfo]:
    """The classifiers with counts and versions, read together: two queries for any number of them."""
    ids = [classifier.id for classifier in classifiers]
    counts: dict[uuid.UUID, dict[str, int]] = {one: {} for one in ids}
    examples = ClassifierExample.objects.filter(classifier_id__in=ids).values("classifier_id", "label")
    for row in examples.annotate(count=Count("id")).order_by("label"):
        counts[row["classifier_id"]][row["label"]] = row["count"]
    versions: dict[uuid.UUID, list[ClassifierVersion]] = {one: [] for one in ids}
    # Few of each are kept; the heads are the weight of them.
    for version in ClassifierVersion.objects.filter(classifier_id__in=ids).defer("head").order_by("-number"):
        versions[version.classifier_id].append(version)
    return [_told(one, counts[one.id], versions[one.id][: KEPT_VERSIONS + 1]) for one in classifiers]


def _info(classifier: Classifier) -> ClassifierInfo:
    return _infos([classifier])[0]


def _told(classifier: Classifier, counts: dict[str, int], rows: Sequence[ClassifierVersion]) -> ClassifierInfo:
    versions = tuple(
        VersionInfo(
            row.number,
            row.status,
            tuple(row.labels),
            row.examples_count,
            row.metrics,
            row.error_code,
            row.created_at,
            row.finished_at,
        )
        for row in rows
    )
    return ClassifierInfo(
        classifier.id, classifier.name, classifier.active_version, counts, versions, classifier.created_at
    )
