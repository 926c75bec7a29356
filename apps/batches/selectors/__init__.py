"""Reads of batches and of what their charts show."""
