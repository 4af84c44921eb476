"""A PACS: send objects by DICOMweb or C-STORE, and fetch a series by DICOMweb.

Nothing here listens: there is no storage service that others could send to.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from neurolysis.errors import ImageError, InputError, OutputError

MOST_INSTANCES = 4000
MOST_BYTES = 4 * 2**30
PATIENCE_S = 60
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def client(url: str) -> Any:
    """A DICOMweb client.

    Raises:
        InputError: not an http(s) address, or plain http to another machine.
    """
    import requests
    from dicomweb_client.api import DICOMwebClient

    parts = urlparse(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError("not a DICOMweb address", where="--url", found=url, allowed="https://host/path")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise InputError(
            "patient data is not sent unencrypted", where="--url", found=url, allowed="https, or this machine"
        )
    session = requests.Session()
    session.request = _patient(session.request)  # type: ignore[method-assign]
    made = DICOMwebClient(url, session=session)
    made.set_http_retry_params(retry=False)
    return made


def _patient(request: Any) -> Any:
    """A request that gives up after :data:`PATIENCE_S` without an answer."""

    def asked(*arguments: Any, **options: Any) -> Any:
        options.setdefault("timeout", PATIENCE_S)
        return request(*arguments, **options)

    return asked


def list_series(
    url: str, patient_id: str | None = None, study_uid: str | None = None
) -> list[dict[str, str]]:
    """Series of a PACS by QIDO-RS: study, series, modality, description, number of instances.

    Raises:
        InputError: the address; ImageError: the PACS does not answer.
    """
    web = client(url)
    filters = {} if patient_id is None else {"PatientID": patient_id}
    with _answering(url):
        found = web.search_for_series(
            study_instance_uid=study_uid, search_filters=filters or None, limit=MOST_INSTANCES,
            fields=["SeriesDescription", "NumberOfSeriesRelatedInstances"],
        )  # fmt: skip
    names = {
        "study_uid": "0020000D", "series_uid": "0020000E", "modality": "00080060", "description": "0008103E",
        "instances": "00201209",
    }  # fmt: skip
    return [{name: _text(row, tag) for name, tag in names.items()} for row in found]


def _text(row: dict[str, Any], tag: str) -> str:
    values = row.get(tag, {}).get("Value") or [""]
    return str(values[0])


def fetch_series(url: str, study_uid: str, series_uid: str, folder: Path) -> tuple[Path, ...]:
    """A series by WADO-RS into an existing, empty folder, under names of our own.

    Raises:
        InputError: the address; ImageError: no answer, no instance, too many, another series or patient.
    """
    web = client(url)
    with _answering(url):
        rows = web.search_for_instances(
            study_instance_uid=study_uid, series_instance_uid=series_uid, limit=MOST_INSTANCES + 1
        )
    if not rows:
        raise ImageError("the PACS has no such series", where=url, found=series_uid)
    if len(rows) > MOST_INSTANCES:
        raise ImageError("too many instances in one series", where=url, allowed=f"at most {MOST_INSTANCES}")
    written, size, patients = [], 0, set()
    with _answering(url):
        for number, one in enumerate(web.iter_series(study_uid, series_uid)):
            if str(one.get("SeriesInstanceUID")) != series_uid or number >= len(rows):
                raise ImageError("the PACS sent another series than the one asked for", where=url)
            patients.add(str(one.get("PatientID", "")))
            path = folder / f"{number:05d}.dcm"
            one.save_as(path, enforce_file_format=True)
            size += path.stat().st_size
            if size > MOST_BYTES:
                raise ImageError("the series is too large", where=url, allowed=f"{MOST_BYTES} bytes")
            written.append(path)
    if len(patients) > 1:
        raise ImageError("the series mixes patients", where=url, found=f"{len(patients)} patients")
    if len(written) != len(rows):
        raise ImageError("the series came incomplete", where=url, found=len(written), allowed=f"{len(rows)}")
    return tuple(written)


def store_web(url: str, datasets: Sequence[Any]) -> None:
    """Send objects by STOW-RS.

    Raises:
        InputError: the address; OutputError: the PACS refused one, or does not answer.
    """
    web = client(url)
    try:
        answer = web.store_instances(list(datasets))
    except Exception as error:  # requests, HTTP and decoding errors of the client's own
        raise OutputError("the PACS did not take the objects", where=url, found=str(error)[:200]) from error
    failed = answer.get("FailedSOPSequence") or []
    if failed:
        raise OutputError("the PACS refused objects", where=url, found=f"{len(failed)} of {len(datasets)}")


def store_dimse(host: str, port: int, called: str, datasets: Sequence[Any]) -> None:
    """Send objects by C-STORE.

    Raises:
        OutputError: no association, or a status that is no success.
    """
    from pynetdicom import AE

    entity = AE(ae_title="NEUROLYSIS")
    for one in {(d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in datasets}:
        entity.add_requested_context(*one)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = PATIENCE_S
    association = entity.associate(host, port, ae_title=called)
    where = f"{called} at {host}:{port}"
    if not association.is_established:
        raise OutputError("the PACS does not accept an association", where=where)
    try:
        for one in datasets:
            status = association.send_c_store(one)
            if not status or status.Status != 0:
                found = "no answer" if not status else f"status 0x{status.Status:04X}"
                raise OutputError("the PACS did not take an object", where=where, found=found)
    finally:
        association.release()


class _answering:
    """Errors of the client inside the block become an ImageError that names the PACS."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from requests import RequestException

        if isinstance(error, RequestException):
            raise ImageError("the PACS does not answer", where=self.url, found=str(error)[:200]) from error
