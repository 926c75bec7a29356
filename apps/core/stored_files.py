"""Whose a stored file is: each app says which names are its own, and which of them its rows still mean.

A file lies at `{organisation}/{name}` in the default storage. Whoever stores files registers an owner here. No two owners
share a form of name: all but the first, `knowledge`, begin theirs with a word of their own. So a name of a table that this
version of the code does not know is nobody's here, and is left alone (`tenants.sweeping`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Names without the organisation, in its open scope -> those that a row means.
Meant = Callable[[Sequence[str]], set[str]]


@dataclass(frozen=True, slots=True)
class FileOwner:
    """One registration. `columns` are those that hold names of its files with the organisation, as (table, column)."""

    name: str
    form: re.Pattern[str]
    columns: tuple[tuple[str, str], ...]
    meant: Meant


_owners: dict[str, FileOwner] = {}


def file_owner(name: str, *, form: str, columns: Sequence[tuple[str, str]] = ()) -> Callable[[Meant], Meant]:
    """Register `meant(names)`, which is asked about names that match `form` from beginning to end.

    A name that it leaves out is one that no row means: it must answer for every row that may, also while that row's job
    runs. Raises ValueError for a name that is taken.
    """

    def register(meant: Meant) -> Meant:
        if name in _owners:
            raise ValueError(f"{name} owns files already")
        _owners[name] = FileOwner(name, re.compile(form), tuple(columns), meant)
        return meant

    return register


def file_owners() -> list[FileOwner]:
    """Return what is registered, by name."""
    return [_owners[name] for name in sorted(_owners)]


def owner_of(name: str) -> FileOwner | None:
    """Return whose form the name has; None where nobody's, or that of more than one."""
    found = [owner for owner in _owners.values() if owner.form.fullmatch(name)]
    return found[0] if len(found) == 1 else None


# What a killed process leaves of a file that it was writing (`core.storage`): no row ever means it.
@file_owner("parts", form=r".+\.[0-9a-f]{32}\.part")
def _parts_meant(names: Sequence[str]) -> set[str]:
    return set()
