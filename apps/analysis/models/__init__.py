"""Messages by their meaning."""

from apps.insights.models import MessageVector

__all__ = ["MessageVector"]
