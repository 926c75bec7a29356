"""Reads of stored results."""
