"""Commands of DICOM: ``export-dicom`` and ``fetch``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurolysis.cli.localization import CasePath
from neurolysis.cli.reply import Json, Reply, progress_bar
from neurolysis.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("export-dicom")(export_dicom)
    app.command("fetch")(fetch)


def export_dicom(
    case: CasePath,
    out: Annotated[Path, typer.Option("--out", help="New folder for the DICOM files.")],
    url: Annotated[
        str | None, typer.Option("--url", help="DICOMweb address to send them to as well (STOW-RS).")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="AE@host:port to send them to (C-STORE).")] = None,
    json_: Json = False,
) -> Reply:
    """Plan a case and write segments, maps, measurements and the report as DICOM."""
    from neurolysis.app.dicom import export_dicom as run

    with progress_bar() as progress:
        found = run(case, out, send_web=url, send_to=_peer(to), progress=progress)
    lines = [
        f"{found['mark']}: {len(found['files'])} objects in {out}",
        *(f"  {one}" for one in found["files"]),
    ]
    lines += [f"sent to {one}" for one in found["sent_to"]]
    return Reply(data=found, text="\n".join([*lines, found["research_use"]]))


def _peer(text: str | None) -> tuple[str, int, str] | None:
    if text is None:
        return None
    title, _, place = text.partition("@")
    host, _, port = place.rpartition(":")
    if not title or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError("not a DICOM peer", where="--to", found=text, allowed="AE@host:port")
    return host, int(port), title


def fetch(
    url: Annotated[str, typer.Argument(help="DICOMweb address.")],
    out: Annotated[Path | None, typer.Option("--out", help="New folder for the series.")] = None,
    study: Annotated[str | None, typer.Option("--study", help="Study Instance UID.")] = None,
    series: Annotated[str | None, typer.Option("--series", help="Series Instance UID.")] = None,
    patient: Annotated[str | None, typer.Option("--patient", help="Patient ID, to list its series.")] = None,
    json_: Json = False,
) -> Reply:
    """List the series of a PACS, or fetch one by its UIDs."""
    from neurolysis.app.dicom import fetch as run
    from neurolysis.app.dicom import list_series

    if series is None:
        rows = list_series(url, patient)
        lines = [
            f"{r['modality'] or '?':4} {r['instances'] or '?':>5}  {r['series_uid']}  study {r['study_uid']}"
            f"  {r['description']}"
            for r in rows
        ]
        return Reply(data={"series": rows}, text="\n".join(lines) or "no series")
    if out is None or study is None:
        raise InputError("a series is fetched with --study, --series and --out", where="fetch")
    found = run(url, out, study_uid=study, series_uid=series)
    return Reply(data=found, text=f"{found['files']} files in {out}")
