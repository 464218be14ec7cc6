"""The Python client of a Liandong hub: `Client`, and `AsyncClient` with the same methods."""

from liandong.answers import Answer
from liandong.asynchronous import AsyncClient
from liandong.catalogue import Collection, Looked
from liandong.client import Client
from liandong.coverage import Coverage, IncompleteAnswer, Source
from liandong.events import Event
from liandong.problems import (
    BrokenAnswer,
    HubFailed,
    InvalidQuestion,
    NotAllowed,
    NotSignedIn,
    NotThere,
    Problem,
    SourcesFailed,
    TooMany,
    Unavailable,
)

__all__ = [
    "Answer",
    "AsyncClient",
    "BrokenAnswer",
    "Client",
    "Collection",
    "Coverage",
    "Event",
    "HubFailed",
    "IncompleteAnswer",
    "InvalidQuestion",
    "Looked",
    "NotAllowed",
    "NotSignedIn",
    "NotThere",
    "Problem",
    "Source",
    "SourcesFailed",
    "TooMany",
    "Unavailable",
]
