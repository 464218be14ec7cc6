"""The federation contract as the hub answers it: for itself and all its sources."""

from __future__ import annotations

from fastapi import APIRouter

from services.hub.catalog import collections
from services.hub.federation import api
from services.hub.governance import api as governance
from shared.datasets.routes import public_router
from shared.service import Service


def contract(service: Service) -> APIRouter:
    """The routes of `shared.datasets.routes.dataset_router`, and `POST /aggregate`."""
    router = APIRouter()
    for part in (public_router(service), collections.router, governance.router, api.router):
        router.include_router(part)
    return router
