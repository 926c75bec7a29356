"""Bodies of TEI's routes, and of huggingface_hub's client where it posts something else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# Texts of one request; GET /tei/info says so, too.
MAX_BATCH = 256

Name = Annotated[str, Field(max_length=200)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Cutting(Strict):
    """`truncation_direction` in either case: the server writes Right, the client right."""

    truncate: bool = False
    truncation_direction: Literal["Left", "Right", "left", "right"] = "Right"
    prompt_name: str | None = None


class EmbedIn(Cutting):
    model: Name = ""
    inputs: str | list[str]
    normalize: bool = True
    dimensions: Annotated[int, Field(ge=1, le=100_000)] | None = None
    encoding_format: Literal["float"] = "float"


class SimilarityInputs(Strict):
    source_sentence: str
    sentences: list[str]


class SimilarityIn(Strict):
    model: Name = ""
    inputs: SimilarityInputs
    parameters: Cutting = Cutting()


class PredictParameters(Strict):
    """What huggingface_hub's text_classification may send."""

    function_to_apply: Literal["sigmoid", "softmax", "none"] | None = None
    top_k: Annotated[int, Field(ge=1, le=10_000)] | None = None


class PredictIn(Cutting):
    """`inputs`: "text"; ["text"] or ["text", "pair"]; or a list of such lists, a batch."""

    model: Name = ""
    inputs: str | list[str] | list[list[str]]
    raw_scores: bool = False
    parameters: PredictParameters | None = None


class RerankIn(Cutting):
    model: Name = ""
    query: str
    texts: list[str]
    raw_scores: bool = False
    return_text: bool = False


class TagParameters(Strict):
    """What huggingface_hub's token_classification may send. Spans are aggregated whichever strategy is named."""

    aggregation_strategy: Literal["simple", "first", "average", "max"] | None = None
    ignore_labels: Annotated[list[str], Field(max_length=1000)] = []
    stride: None = None


class TagIn(Strict):
    model: Name = ""
    inputs: str | list[str]
    parameters: TagParameters = TagParameters()
    truncate: bool = False


def without_nulls(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body without null values, one level deep as well: null means "not given"."""
    return {
        name: without_nulls(value) if isinstance(value, dict) else value
        for name, value in body.items()
        if value is not None
    }
