"""Jobs: start, watch, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Path, Query, Request
from starlette.responses import StreamingResponse

from neurolysis.errors import NotFoundError
from neurolysis.records.store import Principal, Store
from neurolysis.workstation.depends import Jobs, Records, Who
from neurolysis.workstation.events import stream
from neurolysis.workstation.jobs import Job, JobBook
from neurolysis.workstation.models import CaseId, JobAnswer, SimulateRequest
from neurolysis.workstation.openapi import router as make_router

router = make_router("jobs")
JobId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]


@router.post("/api/cases/{case_id}/simulate", status_code=202)
def simulate(case_id: CaseId, body: SimulateRequest, who: Who, store: Records, jobs: Jobs) -> JobAnswer:
    """Plan and simulate one version of a case; the job is safe on disk when this answers."""
    store.check_first(who, "simulate", "plan", "create", case_id)
    store.read_case(who, case_id, body.case_version)
    asked = {
        "principal": who.model_dump(mode="json"),
        "case_version": body.case_version,
        "numerics": body.numerics.model_dump(mode="json") if body.numerics else None,
    }
    return _answer(jobs.add("plan", case_id, who.user_id, asked))


@router.get("/api/jobs")
def list_jobs(
    who: Who,
    store: Records,
    jobs: Jobs,
    case: Annotated[CaseId | None, Query()] = None,
) -> list[JobAnswer]:
    """The jobs of a case, or one's own; newest first."""
    if case is None:
        return [_answer(one) for one in jobs.of_owner(who.user_id)]
    store.check_first(who, "list_jobs", "plan", "read", case)
    return [_answer(one) for one in jobs.of_case(case)]


@router.get("/api/jobs/{job_id}")
def read_job(job_id: JobId, who: Who, store: Records, jobs: Jobs) -> JobAnswer:
    """How far a job is."""
    return _answer(_allowed(job_id, who, store, jobs))


@router.delete("/api/jobs/{job_id}")
def cancel_job(job_id: JobId, who: Who, store: Records, jobs: Jobs) -> JobAnswer:
    """Ask a job to stop; one that has ended stays as it is."""
    _allowed(job_id, who, store, jobs, action="create")
    return _answer(jobs.cancel(job_id))


@router.get(
    "/api/jobs/{job_id}/events",
    responses={200: {"content": {"text/event-stream": {}}, "description": "One event a step of progress."}},
    response_class=StreamingResponse,
)
def events(
    job_id: JobId,
    request: Request,
    who: Who,
    store: Records,
    jobs: Jobs,
    last: Annotated[str | None, Header(alias="Last-Event-ID", max_length=20)] = None,
) -> StreamingResponse:
    """The progress of a job as server-sent events; Last-Event-ID goes on after that one."""
    _allowed(job_id, who, store, jobs)
    after = int(last) if last and last.isascii() and last.isdecimal() else 0
    return StreamingResponse(
        stream(jobs, job_id, after, request.is_disconnected),
        media_type="text/event-stream",
        headers={"x-accel-buffering": "no"},
    )


def _allowed(job_id: str, who: Principal, store: Store, jobs: JobBook, action: str = "read") -> Job:
    """The job, if its case is this user's.

    Raises:
        NotFoundError: there is none, or it belongs to a case of somebody else.
    """
    job = jobs.read(job_id)
    try:
        store.check_first(who, "job", "plan", "create" if action == "create" else "read", job.case_id)
    except NotFoundError as error:
        raise NotFoundError("no such job", found=job_id) from error
    return job


def _answer(job: Job) -> JobAnswer:
    data = job.model_dump(exclude={"id", "kind"})
    return JobAnswer(job_id=job.id, **data)
