"""`manage.py compile_catalogs`: translations from .po to .mo in Python, since msgfmt is missing on a fresh machine."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Compile the translation catalogues under LOCALE_PATHS. Does nothing where the result is up to date."

    def handle(self, *args: Any, **options: Any) -> None:
        compiled = 0
        for root in settings.LOCALE_PATHS:
            for source in sorted(Path(root).glob("*/LC_MESSAGES/*.po")):
                compiled += catalogue_compile(source)
        if options["verbosity"]:
            self.stdout.write(f"Compiled {compiled} catalogue(s)")


def catalogue_compile(source: Path) -> bool:
    """Write the .mo file beside `source` and return True, or return False when it is newer already.

    Errors: CommandError for a catalogue that does not parse. The file is replaced in one step, so that a process that
    starts meanwhile reads the old one or the new one.
    """
    target = source.with_suffix(".mo")
    if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return False
    try:
        with source.open("rb") as file:
            catalogue = read_po(file, locale=source.parent.parent.name, abort_invalid=True)
    except Exception as error:
        raise CommandError(f"{source.name}: {error}") from error
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    partial = target.with_suffix(f".mo.{os.getpid()}")
    partial.write_bytes(buffer.getvalue())
    partial.replace(target)
    return True
