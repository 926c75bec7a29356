"""The demo: an organisation whose knowledge is this project's user guide, and a second one that must never see it."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files import File
from django.db import transaction

from apps.accounts.services import api_key_create, member_create, operator_set
from apps.conversations.services import inbox_create
from apps.core.errors import Conflict, NotFound, Unavailable
from apps.inference.services import default_model, engine_ready
from apps.knowledge.selectors import source_get, sources_list
from apps.knowledge.services import source_create_from_files, source_create_from_text
from apps.tenants.selectors import organization_demo
from apps.tenants.services import organization_create
from nlpsuite.settings.parts.security import BASE_URL

INGEST_TIMEOUT_S = 300
# The first start rewrites the chat model: 20 s of two processor cores, and minutes of a busy machine.
MODELS_TIMEOUT_S = 540
SEED = "system:seed"
ROLES = ("owner", "agent", "analyst")


def demo_seed(*, say: Callable[[str], Any]) -> None:
    """Seed once per database; at every start rewrite `base_url` in demo.json (mode 0600).

    The passwords are in the file before their accounts are committed, and `seeding` is in it until the documents are
    ready: a start that is killed in between is made good by the next.
    """
    path = settings.DATA_DIR / "demo.json"
    if organization_demo() is None:
        say("Seeding the demo organisation")
        with transaction.atomic():
            body = _organization("nlpsuite demo", "demo", is_demo=True)
            body["other"] = _organization("Quarry Goods", "quarry", is_demo=False)
            _write(path, {**body, "seeding": True})
    if path.exists():
        body = json.loads(path.read_text())
        for part in (body, body["other"]):
            part["base_url"] = BASE_URL
            part["chat_model"] = default_model("chat").name
            part["embedding_model"] = default_model("embedding").name
        if "operator" not in body:
            # Once: where the right was taken away since, it stays away.
            body["operator"] = body["owner"]["email"]
            with suppress(NotFound, Conflict):
                operator_set(email=body["operator"])
        if body.get("seeding"):
            _wait_models(say)
            _ingest_guide(UUID(body["organization_id"]), say)
            _ingest_text(UUID(body["other"]["organization_id"]), say)
            del body["seeding"]
        _write(path, body)


def _organization(name: str, slug: str, *, is_demo: bool) -> dict[str, Any]:
    organization = organization_create(name=name, slug=slug, is_demo=is_demo, actor=SEED)
    body: dict[str, Any] = {"organization": name, "organization_id": str(organization.id)}
    for role in ROLES:
        email, password = f"{role}@{slug}.example", secrets.token_urlsafe(18)
        member_create(
            tenant_id=organization.id,
            email=email,
            name=role.capitalize(),
            role=role,
            password=password,
            actor=SEED,
        )
        body[role] = {"email": email, "password": password}
    _, body["api_key"] = api_key_create(tenant_id=organization.id, name="demo", actor=SEED)
    inbox = inbox_create(
        tenant_id=organization.id,
        name="Website",
        settings={
            "greeting": "Hello! Ask me anything about nlpsuite." if is_demo else "Hello! How can we help?",
            "suggested_questions": _suggestions() if is_demo else [],
        },
        actor=SEED,
    )
    body["inbox_id"], body["widget_token"] = str(inbox.id), inbox.widget_token
    return body


def _suggestions() -> list[str]:
    return [
        "How do I put the chat widget on my web site?",
        "Which file formats can I add to the knowledge base?",
        "When does the bot hand over to a person?",
    ]


def _wait_models(say: Callable[[str], Any]) -> None:
    deadline = time.monotonic() + MODELS_TIMEOUT_S
    while not engine_ready():
        if time.monotonic() > deadline:
            raise Unavailable(f"The models did not load within {MODELS_TIMEOUT_S} s.")
        time.sleep(0.2)
    say("Models answer")


def _ingest_guide(tenant_id: Any, say: Callable[[str], Any]) -> None:
    paths = sorted((settings.BASE_DIR / "docs" / "guide").glob("*.md"))
    known = {source.name: source.id for source in sources_list(tenant_id=tenant_id, limit=100)[0]}
    made = [known[path.name] for path in paths if path.name in known]
    for path in paths:
        if path.name in known:
            continue
        with path.open("rb") as handle:
            upload = File(handle, name=path.name)
            made.append(source_create_from_files(tenant_id=tenant_id, files=[upload], actor=SEED).id)
    _wait_sources(tenant_id, made, say)


def _ingest_text(tenant_id: Any, say: Callable[[str], Any]) -> None:
    text = "Quarry Goods ships stone tiles on pallets. Pallets leave the yard every Tuesday and Friday before noon."
    found = sources_list(tenant_id=tenant_id, limit=1)[0]
    made = found[0] if found else source_create_from_text(tenant_id=tenant_id, title="Shipping", text=text, actor=SEED)
    _wait_sources(tenant_id, [made.id], say)


def _wait_sources(tenant_id: Any, ids: list[Any], say: Callable[[str], Any]) -> None:
    deadline = time.monotonic() + INGEST_TIMEOUT_S
    for number, source_id in enumerate(ids, 1):
        while (source := source_get(tenant_id=tenant_id, source_id=source_id)).status not in {"ready", "failed"}:
            if time.monotonic() > deadline:
                raise Unavailable(f"The demo's documents were not ready within {INGEST_TIMEOUT_S} s.")
            time.sleep(0.1)
        if source.status == "failed":
            raise Unavailable(f"The demo document {source.name} failed: {source.error_message}")
        say(f"Demo documents: {number}/{len(ids)}")


def _write(path: Path, body: dict[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        json.dump(body, handle, indent=1)
    fresh.replace(path)
