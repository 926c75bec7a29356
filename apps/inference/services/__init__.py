"""What other apps may call: work on texts, generations, permits, reply streams, cancellation, the catalogue."""

from __future__ import annotations

from apps.inference.engine.sentences import sentences_split
from apps.inference.services.batches import (
    classify_texts,
    embed_texts,
    rerank_texts,
    rewrite_texts,
    tag_texts,
    translate_texts,
)
from apps.inference.services.cancel import cancel_request, is_cancelled, stop_signal
from apps.inference.services.explaining import explain_score, explain_text
from apps.inference.services.generation import GenerationStream, generate_stream
from apps.inference.services.generation_async import AsyncGeneration, generate_async
from apps.inference.services.hub import StreamHub, Subscription, hub
from apps.inference.services.local import (
    EngineStopping,
    engine_info,
    engine_ready,
    engine_start,
    engine_stop,
    local_engine,
)
from apps.inference.services.models import catalogue, default_model, model_get, model_list, model_of
from apps.inference.services.permits import generation_permit, permits_in_use
from apps.inference.services.rpc import calls_in_flight
from apps.inference.services.space_building import space_build, space_build_ended, spaces_follow
from apps.inference.services.spaces import (
    MESSAGES,
    PASSAGES,
    SpacesChanged,
    VectorStore,
    default_space,
    space_change,
    space_model,
    space_pause,
    space_resume,
    space_serving,
    spaces_degraded,
    spaces_hold,
    spaces_list,
    spaces_writing,
    store_register,
    vectors_clear,
)
from apps.inference.services.startup import start_failure, start_failure_clear, start_failure_note
from apps.inference.services.stats import engine_history, engine_stats
from apps.inference.services.streams import EndStatus, StreamEntry, StreamWriter, stream_read_sync, text_of

__all__ = [
    "AsyncGeneration",
    "EndStatus",
    "EngineStopping",
    "GenerationStream",
    "MESSAGES",
    "PASSAGES",
    "SpacesChanged",
    "StreamEntry",
    "StreamHub",
    "StreamWriter",
    "Subscription",
    "VectorStore",
    "calls_in_flight",
    "cancel_request",
    "catalogue",
    "classify_texts",
    "default_model",
    "default_space",
    "embed_texts",
    "engine_history",
    "engine_info",
    "engine_ready",
    "engine_start",
    "engine_stats",
    "engine_stop",
    "explain_score",
    "explain_text",
    "generate_async",
    "generate_stream",
    "generation_permit",
    "hub",
    "is_cancelled",
    "local_engine",
    "model_get",
    "model_list",
    "model_of",
    "permits_in_use",
    "rerank_texts",
    "rewrite_texts",
    "sentences_split",
    "space_build",
    "space_build_ended",
    "space_change",
    "space_model",
    "space_pause",
    "space_resume",
    "space_serving",
    "spaces_degraded",
    "spaces_follow",
    "spaces_hold",
    "spaces_list",
    "spaces_writing",
    "start_failure",
    "start_failure_clear",
    "start_failure_note",
    "stop_signal",
    "store_register",
    "stream_read_sync",
    "tag_texts",
    "text_of",
    "translate_texts",
    "vectors_clear",
]
