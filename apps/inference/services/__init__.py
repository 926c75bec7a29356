"""What other apps may call: embeddings, generations, permits, reply streams, cancellation, the catalogue."""

from __future__ import annotations

from apps.inference.services.cancel import cancel_request, is_cancelled, stop_signal
from apps.inference.services.embedding import embed_texts
from apps.inference.services.generation import GenerationStream, generate_stream
from apps.inference.services.hub import StreamHub, Subscription, hub
from apps.inference.services.local import (
    EngineStopping,
    engine_info,
    engine_ready,
    engine_start,
    engine_stop,
    local_engine,
)
from apps.inference.services.models import catalogue, default_model, model_get, model_list
from apps.inference.services.permits import generation_permit
from apps.inference.services.streams import EndStatus, StreamEntry, StreamWriter, stream_read_sync, text_of

__all__ = [
    "EndStatus",
    "EngineStopping",
    "GenerationStream",
    "StreamEntry",
    "StreamHub",
    "StreamWriter",
    "Subscription",
    "cancel_request",
    "catalogue",
    "default_model",
    "embed_texts",
    "engine_info",
    "engine_ready",
    "engine_start",
    "engine_stop",
    "generate_stream",
    "generation_permit",
    "hub",
    "is_cancelled",
    "local_engine",
    "model_get",
    "model_list",
    "stop_signal",
    "stream_read_sync",
    "text_of",
]
