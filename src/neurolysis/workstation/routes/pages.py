"""The page and its files."""

from __future__ import annotations

import mimetypes
from pathlib import Path as FilePath

from fastapi import Path
from starlette.responses import FileResponse, HTMLResponse, Response

from neurolysis.errors import NotFoundError
from neurolysis.workstation.openapi import router as make_router

router = make_router("page")
STATIC = FilePath(__file__).parents[1] / "static"
NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>neurolysis</title>
<h1>The page was not built</h1>
<p>This server runs from a checkout whose page was not built yet. Run <code>make page</code> there
(or <code>node frontend/build.mjs</code>) and reload. The interface under <code>/api</code> works already.</p>
<p>Decision support for professionals, research use; not a certified medical device.</p></html>"""


@router.get("/", response_class=HTMLResponse)
def index() -> Response:
    """The page; it holds no data and asks for everything else."""
    file = STATIC / "index.html"
    if not file.is_file():
        return HTMLResponse(NOT_BUILT, 200)
    return FileResponse(file, media_type="text/html; charset=utf-8", headers={"cache-control": "no-cache"})


@router.get("/favicon.ico", response_class=Response)
def icon() -> Response:
    """A small picture, or nothing."""
    file = STATIC / "favicon.svg"
    return FileResponse(file, media_type="image/svg+xml") if file.is_file() else Response(status_code=204)


@router.get("/static/{name:path}", response_class=FileResponse)
def static(name: str = Path(max_length=300)) -> FileResponse:
    """One built file; their names change with their content."""
    known = {one.relative_to(STATIC).as_posix() for one in STATIC.rglob("*")} if STATIC.is_dir() else set()
    file = STATIC / name if name in known else STATIC
    if not file.is_file():
        raise NotFoundError("no such file", where="static", found=name)
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return FileResponse(
        file, media_type=kind, headers={"cache-control": "public, max-age=31536000, immutable"}
    )
