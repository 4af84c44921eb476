"""A case's image, anatomy, simulated X-ray and preview."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Path
from starlette.responses import JSONResponse, Response

from neurolysis.app.view_scene import image_view, image_voxels, label_voxels, scene_view
from neurolysis.app.view_xray import tunnel_view, xray_png
from neurolysis.workstation.depends import Here, Kept, Records, Who
from neurolysis.workstation.models import Angles, CaseId, XrayRequest
from neurolysis.workstation.openapi import packed, plain_json, raw
from neurolysis.workstation.openapi import router as make_router

router = make_router("images")
Number = Annotated[int, Path(ge=0, le=1000)]


@router.get("/api/cases/{case_id}/image", response_model=dict[str, Any])
def image(case_id: CaseId, who: Who, store: Records, kept: Kept) -> Any:
    """Shape, affine, window and label maps of the image."""
    with store.case_folder(who, case_id) as folder:
        return plain_json(kept.json(image_view, folder))


@router.get(
    "/api/cases/{case_id}/image/voxels",
    responses=raw("application/octet-stream", "16-bit little-endian voxels, x fastest, sent with gzip."),
    response_class=Response,
)
def voxels(case_id: CaseId, who: Who, store: Records, kept: Kept) -> Response:
    """The image's voxels."""
    with store.case_folder(who, case_id) as folder:
        return packed(kept.of(image_voxels, folder))


@router.get(
    "/api/cases/{case_id}/labels/{number}/voxels",
    responses=raw("application/octet-stream", "8 or 16-bit labels, x fastest, sent with gzip."),
    response_class=Response,
)
def labels(case_id: CaseId, number: Number, who: Who, store: Records, kept: Kept) -> Response:
    """The voxels of one label map."""
    with store.case_folder(who, case_id) as folder:
        return packed(kept.of(label_voxels, folder, number))


@router.get("/api/cases/{case_id}/scene", response_model=dict[str, Any])
def scene(case_id: CaseId, who: Who, store: Records, kept: Kept) -> Any:
    """Nerves, landmarks, structures, needles and missing landmarks."""
    with store.case_folder(who, case_id) as folder:
        return plain_json(kept.json(scene_view, folder))


@router.post(
    "/api/cases/{case_id}/fluoroscopy",
    responses=raw("image/png", "The simulated X-ray with needles and nerve."),
    response_class=Response,
)
def fluoroscopy(case_id: CaseId, body: XrayRequest, who: Who, store: Records, kept: Kept) -> Response:
    """A simulated X-ray."""
    needles = None if body.placements is None else tuple(body.placements)
    with store.case_folder(who, case_id) as folder:
        png, carm = kept.of(xray_png, folder, body.lao_deg, body.cranial_deg, needles, body.columns)
    return Response(png, media_type="image/png", headers={"x-neurolysis-carm": json.dumps(carm)})


@router.get("/api/cases/{case_id}/tunnel-view")
def tunnel(case_id: CaseId, who: Who, store: Records, kept: Kept) -> Angles:
    """The angles that look down the first needle."""
    with store.case_folder(who, case_id) as folder:
        return Angles(**kept.of(tunnel_view, folder))


@router.get(
    "/api/cases/{case_id}/preview",
    response_model=dict[str, Any],
    responses={202: {"description": "It is being computed; ask again."}},
)
def preview(case_id: CaseId, who: Who, store: Records, here: Here) -> Any:
    """A lesion in homogeneous tissue to move with the needle; no verdict. 202 while it is computed."""
    found = here.previews.find(who, store, case_id, here.compute)
    return found if found is not None else JSONResponse({"state": "computing"}, 202)
