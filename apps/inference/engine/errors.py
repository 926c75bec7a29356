"""Errors of the engine. The services map them to the application's error tree."""

from __future__ import annotations


class EngineError(Exception):
    """Base of what the engine raises on purpose."""


class Overloaded(EngineError):
    """The bounded queue is full: retry later."""


class DeadlineExceeded(EngineError):
    """The work did not finish before its deadline; the engine has stopped computing it."""


class PromptTooLong(EngineError):
    """The prompt leaves no room for an answer in the model's context."""


class Unsupported(EngineError):
    """The model's backend cannot do what `parameter` asks for, or its value is out of range."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class ModelUnavailable(EngineError):
    """The model is not loaded, has crashed, or is stopping."""


class BatchLost(ModelUnavailable):
    """The process that computed a batch died, or was killed since it took too long (`late`). One of the items may be why."""

    def __init__(self, message: str, *, late: bool = False) -> None:
        super().__init__(message)
        self.late = late


class WeightsMissing(ModelUnavailable):
    """The weights are not on this machine. The message says what to run."""


class UnsafeWeights(ModelUnavailable):
    """The weights are in a format that can run code, or ask for code to be run."""


class ChecksumMismatch(ModelUnavailable):
    """A file differs from the catalogue's sha256, or has none there."""


class NotEnoughMemory(ModelUnavailable):
    """The model is larger than the memory that models may take."""


class UnknownModel(EngineError):
    """The catalogue has no such model, or it has another role."""
