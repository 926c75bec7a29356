"""Backups of an installation in one encrypted file: made while it runs, verified, restored (docs/adr/0010-backup.md)."""
