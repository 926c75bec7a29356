"""Why a backup, a restore or a verification ended, with the exit status that says so."""

from __future__ import annotations


class BackupError(Exception):
    """Base: what went wrong and what to do, in one line for people. `status` is the command's exit status."""

    code, status = "backup_failed", 1


class KeyWrong(BackupError):
    """There is no key, it is too weak for a new backup, or it is not the one of this file."""

    code, status = "key_wrong", 3


class FileDamaged(BackupError):
    """The file was cut short or altered."""

    code, status = "file_damaged", 4


class FileForeign(BackupError):
    """The file is no backup, or was made by a version that this one cannot read."""

    code, status = "file_foreign", 5


class NotEmpty(BackupError):
    """The place to restore into, or the file to write, holds something already."""

    code, status = "not_empty", 6


class NoSpace(BackupError):
    """The disk has too little room."""

    code, status = "no_space", 7


class Different(BackupError):
    """What was restored is not what was backed up."""

    code, status = "different", 8


class Unreachable(BackupError):
    """The database does not answer, or its role or programs do not suffice."""

    code, status = "unreachable", 9
