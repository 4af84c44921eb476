"""What people bring: a case, a bundle, images; and images for a case that is there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from neurolysis.app.case_files import MOST_FILES, collected
from neurolysis.app.case_import import ALLOWED, Brought, arrived, image_arrived, kind_of
from neurolysis.errors import InputError
from neurolysis.workstation.depends import Heavy, IfMatch, Records, Who
from neurolysis.workstation.models import CaseAnswer, CaseId, ImportAnswer
from neurolysis.workstation.openapi import router as make_router
from neurolysis.workstation.routes.cases import answer

router = make_router("imports")
MOST_BUNDLE = 64 * 2**20
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "description": "One file, or all files of a folder.",
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                }
            }
        },
    }
}


async def sent_files(request: Request) -> AsyncIterator[list[UploadFile]]:
    """The files of a form, as many as a series of images has.

    Raises:
        InputError: not a form, or no file in it.
    """
    try:
        form = await request.form(max_files=MOST_FILES, max_fields=100)
    except HTTPException as error:
        raise InputError("the form cannot be read", where="body", found=str(error.detail)[:200]) from error
    try:
        found = [one for one in form.getlist("file") if isinstance(one, UploadFile)]
        if not found:
            raise InputError("no file was sent", where="file", allowed=ALLOWED)
        yield found
    finally:
        await form.close()


Files = Annotated[list[UploadFile], Depends(sent_files)]


@router.post("/api/cases/import", status_code=201, openapi_extra=FORM)
def import_case(who: Who, file: Files, store: Records, heavy: Heavy) -> ImportAnswer:
    """A case from an exported case, a case folder, a FHIR bundle, or images."""
    store.check_first(who, "import_case", "case", "create", "")
    with _laid_down(file) as (brought, work):
        kind = heavy.run(kind_of, brought)
        notes: tuple[str, ...] = ()
        if kind == "exported case":
            stored = store.import_case(who, brought[0].place)
        elif kind == "bundle":
            from neurolysis.app.fhir_records import import_bundle, parse_json

            made = import_bundle(store, who, parse_json(_small(brought[0].place)))
            stored, notes = made.stored, made.remarks
        else:
            found = heavy.run(arrived, brought, work)
            stored, notes = store.create_case(who, found.case, found.files), found.notes
    return ImportAnswer(id=stored.id, version=stored.version, notes=list(notes))


@router.post("/api/cases/{case_id}/image", openapi_extra=FORM)
def add_image(
    case_id: CaseId, who: Who, file: Files, version: IfMatch, store: Records, heavy: Heavy
) -> CaseAnswer:
    """Give a case its planning image; a new version of the case."""
    store.check_first(who, "add_image", "case", "write", case_id)
    case = store.read_case(who, case_id, version).case
    with _laid_down(file) as (brought, work):
        image, _ = heavy.run(image_arrived, brought, work)
        bare = case.replace(image=image, labels=(), structures=())
        moved, files = collected(bare, work)
        stored = store.save_case(who, case_id, moved, version, files, reason="image added")
        return answer(store, who, stored)


def _small(place: Path) -> bytes:
    size = place.stat().st_size
    if size > MOST_BUNDLE:
        raise InputError("the bundle is too large", found=f"{size} bytes", allowed=f"{MOST_BUNDLE} bytes")
    return place.read_bytes()


@contextmanager
def _laid_down(sent: Sequence[UploadFile]) -> Iterator[tuple[list[Brought], Path]]:
    """The files under names of our own in a folder that is removed afterwards, and a folder to work in."""
    with tempfile.TemporaryDirectory(prefix="neurolysis-import-") as name:
        folder, work = Path(name) / "brought", Path(name) / "work"
        folder.mkdir()
        work.mkdir()
        brought = []
        for number, one in enumerate(sent):
            place = folder / f"{number:05d}"
            with place.open("wb") as out:
                shutil.copyfileobj(one.file, out, 1 << 20)
            brought.append(Brought(one.filename or "", place))
        yield brought, work
