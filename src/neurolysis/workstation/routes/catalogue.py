"""What there is to choose from."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request, Response

from neurolysis.app.view_catalogue import catalogue
from neurolysis.workstation.depends import Heavy, Who
from neurolysis.workstation.openapi import router as make_router

router = make_router("catalogue")


@router.get("/api/catalogue", response_model=dict[str, Any])
def read_catalogue(request: Request, who: Who, heavy: Heavy) -> Response:
    """Techniques, instruments, questionnaires, body map, conditions, targets, findings, demonstrations."""
    state = request.app.state
    if getattr(state, "catalogue", None) is None:
        state.catalogue = json.dumps(heavy.run(catalogue), ensure_ascii=False).encode()
    return Response(state.catalogue, media_type="application/json")
