"""Removing stored files that no row means: what a process that ended at the wrong moment has left.

A file is written before its row is committed and removed after its row is gone, so a crash in between leaves a file and
never a row without one. What is removed here is older than a day, of a form that exactly one owner claims
(`core.stored_files`), unknown to that owner, and in the folder of an organisation that this database has.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice

import structlog
from django.core.files.storage import default_storage

from apps.core.stored_files import owner_of
from apps.core.tenancy import connection_release, tenant_scope
from apps.tenants.selectors import organization_ids

log = structlog.get_logger(__name__)
# Between a file and the commit of its row lie seconds; an upgrade, during which two versions run, ends within the day.
LEAST_AGE_S = 86_400.0
# Names that the database is asked about at once.
ASK_AT_ONCE = 1_000
# Removed of one organisation in one run; the next day goes on.
REMOVED_MAX = 1_000
RUN_S = 300.0
# Crashes leave a few. Where so many, and more than half, seem to be nobody's it is likelier that the database is the
# wrong one or rows were lost: nothing is removed then.
MANY = 100


def files_sweep(*, run_s: float = RUN_S, even_many: bool = False) -> dict[str, int]:
    """Remove stored files that no row means; returns {"removed", "kept", "foreign", "refused"} over all organisations.

    "foreign" are files of a form that nobody here claims, "refused" those that were left because there are too many of
    them (`even_many` removes those too). One organisation that fails is logged and does not stop the rest.
    """
    ends, totals = time.monotonic() + run_s, Counter({"removed": 0, "kept": 0, "foreign": 0, "refused": 0})
    tenants = organization_ids()
    random.shuffle(tenants)
    for number, tenant_id in enumerate(tenants):
        if time.monotonic() > ends:
            log.info("files.sweep_time_is_over", left=len(tenants) - number, **totals)
            return dict(totals)
        try:
            found = _organization(tenant_id, ends, even_many)
        except Exception:  # one organisation's trouble is not the others'
            log.exception("files.sweep_failed", tenant_id=str(tenant_id))
            continue
        totals.update(found)
        if found["removed"] or found["foreign"]:
            log.info("files.swept", tenant_id=str(tenant_id), **found)
    return dict(totals)


def _organization(tenant_id: uuid.UUID, ends: float, even_many: bool) -> Counter[str]:
    found: Counter[str] = Counter({"removed": 0, "kept": 0, "foreign": 0, "refused": 0})
    nobodys: list[str] = []
    names = _old_files(tenant_id)
    while len(nobodys) < REMOVED_MAX and time.monotonic() < ends and (some := list(islice(names, ASK_AT_ONCE))):
        asked = {name for name in some if owner_of(name) is not None}
        meant = _meant(tenant_id, asked)
        found["foreign"] += len(some) - len(asked)
        found["kept"] += len(meant)
        nobodys += sorted(asked - meant)
    nobodys = nobodys[:REMOVED_MAX]
    if len(nobodys) >= MANY and len(nobodys) > found["kept"] and not even_many:
        found["refused"] = len(nobodys)
        log.error("files.sweep_refused", tenant_id=str(tenant_id), **found)
        return found
    # Asked once more, right before they go.
    for name in set(nobodys) - _meant(tenant_id, set(nobodys)):
        default_storage.delete(f"{tenant_id}/{name}")
        found["removed"] += 1
    return found


def _old_files(tenant_id: uuid.UUID) -> Iterator[str]:
    """Yield the names of the organisation's files that are older than LEAST_AGE_S; no folders and no links."""
    newest = time.time() - LEAST_AGE_S
    try:
        entries = os.scandir(default_storage.path(str(tenant_id)))
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            try:
                if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < newest:
                    yield entry.name
            except FileNotFoundError:  # removed since it was listed
                continue


def _meant(tenant_id: uuid.UUID, names: set[str]) -> set[str]:
    """Return those that a row means."""
    by_owner: dict[str, list[str]] = defaultdict(list)
    owners = {}
    for name in names:
        if (owner := owner_of(name)) is not None:
            owners[owner.name] = owner
            by_owner[owner.name].append(name)
    meant: set[str] = set()
    for key, own in by_owner.items():
        with tenant_scope(tenant_id):
            meant |= owners[key].meant(own)
    connection_release()
    return meant
