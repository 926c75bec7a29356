"""One organisation with one of everything, kept as it is between the requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from tests import fakes
from tests.matrix.world import World, world_create


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """Made once, in a transaction that ends with the module."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield world_create("F")
        transaction.set_rollback(True)


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> fakes.FakeModels:
    return fakes.install(monkeypatch, fakes.FakeModels(lambda request: "Fine."))
