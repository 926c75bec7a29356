"""Batches, and what is found about messages."""
