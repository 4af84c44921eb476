"""Jobs: the book that none is lost from, and real workers that are killed and go on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from neurolysis.app.demo import demo_case
from neurolysis.app.exposure_files import load_exposure
from neurolysis.app.plan_stages import STAGES, PlanStages
from neurolysis.errors import InputError, NotFoundError
from neurolysis.plan import Numerics
from neurolysis.workstation.jobs import JobBook, job_urls
from neurolysis.workstation.work import Notes, StoppedError, finish
from neurolysis.workstation.workers import Workers, worker_names

from .postgres import PostgresServer
from .server_kit import COARSE, ROOT, Server, serving, wait_for_job


@pytest.fixture
def book(tmp_path: Path) -> Iterator[JobBook]:
    found = JobBook(job_urls(None, tmp_path)[0])
    yield found
    found.close()


def add(book: JobBook, case_id: str = "c") -> str:
    return book.add("plan", case_id, "me", {"n": 1}).id


# ---------------------------------------------------------------- the book


def test_a_job_from_asked_to_done(book: JobBook) -> None:
    job_id = add(book)
    claimed = book.claim("w")
    assert claimed is not None
    assert (claimed.id, claimed.asked) == (job_id, {"n": 1})
    assert book.claim("w2") is None
    assert book.progress(job_id, "w", 0.5, "half")
    book.end(job_id, "w", "done", "done", plan_number=3)
    job = book.read(job_id)
    assert (job.state, job.fraction, job.plan_number) == ("done", 1.0, 3)
    events = book.events(job_id)
    assert [one.number for one in events] == [1, 2, 3, 4]
    assert [one.state for one in events] == ["queued", "running", "running", "done"]
    assert book.events(job_id, after=3) == events[3:]


def test_what_has_ended_stays(book: JobBook) -> None:
    job_id = add(book)
    assert book.cancel(job_id).state == "cancelled", "a job that waits is cancelled at once"
    book.end(job_id, "w", "done", "late")
    assert not book.progress(job_id, "w", 0.9, "late")
    assert book.claim("w") is None
    assert book.read(job_id).state == "cancelled"


def test_a_running_job_is_cancelled_at_its_next_step(book: JobBook) -> None:
    job_id = add(book)
    book.claim("w")
    assert book.cancel(job_id).state == "cancelling"
    notes = Notes(book, job_id, "w")
    with pytest.raises(StoppedError):
        notes(0.1, "on")
    finish(book, job_id, "w", {"stopped": True})
    assert book.read(job_id).state == "cancelled"


def test_no_such_job(book: JobBook) -> None:
    with pytest.raises(NotFoundError, match="no such job"):
        book.read("x")


def test_progress_is_noted_as_fast_as_people_read(book: JobBook) -> None:
    job_id = add(book)
    book.claim("w")
    notes = Notes(book, job_id, "w")
    for n in range(1000):
        notes(n / 1000, "same words")
    assert len(book.events(job_id)) < 40


def test_the_failure_of_a_job_is_kept_with_its_words(book: JobBook) -> None:
    job_id = add(book)
    book.claim("w")
    finish(book, job_id, "w", {"error": {"type": "InputError", "problem": "no target", "where": "case.yaml"}})
    job = book.read(job_id)
    assert job.state == "failed"
    assert job.error == {"type": "InputError", "problem": "no target", "where": "case.yaml"}


def test_many_workers_claim_each_job_once(tmp_path: Path) -> None:
    _claim_all(job_urls(None, tmp_path)[0])


def test_many_workers_claim_each_job_once_on_postgresql(postgres: PostgresServer) -> None:
    _claim_all(postgres.database().replace("postgresql://", "postgresql+psycopg://"))


def _claim_all(url: str, jobs: int = 60, workers: int = 6) -> None:
    """Every worker in a thread with a book of its own; each job is claimed by one, and ended by it."""
    writer = JobBook(url)
    wanted = {add(writer) for _ in range(jobs)}

    def work(name: str) -> list[str]:
        mine, own = [], JobBook(url)
        while (job := own.claim(name)) is not None:
            mine.append(job.id)
            own.end(job.id, name, "done", "done")
        own.close()
        return mine

    with ThreadPoolExecutor(workers) as pool:
        found = [one for mine in pool.map(work, map(str, range(workers))) for one in mine]
    assert sorted(found) == sorted(wanted)
    assert all(writer.read(one).state == "done" for one in wanted)
    writer.close()


def test_unfinished_jobs_are_found_and_counted(book: JobBook) -> None:
    job_id = add(book)
    book.claim("east-3")
    assert book.unfinished("west-0") == ()
    assert book.busy() == {"east-3": 0}
    book.beat("east-3")
    book.beat("east-3")
    assert book.busy() == {"east-3": 2}
    assert book.adopt("east-3", "west-0") == (job_id,)
    assert book.adopt("east-3", "west-1") == (), "only one of two that adopt at once gets it"
    assert [one.attempts for one in book.unfinished("west-0", counts=False)] == [0], "the server ended"
    assert [one.attempts for one in book.unfinished("west-0")] == [1]
    assert [one.attempts for one in book.unfinished("west-0")] == [2]


def test_a_job_that_was_taken_over_is_out_of_the_first_ones_hands(book: JobBook) -> None:
    job_id = add(book)
    book.claim("w")
    book.adopt("w", "other")
    assert not book.progress(job_id, "w", 0.9, "late")
    assert not book.wanted(job_id, "w")
    with pytest.raises(StoppedError):
        Notes(book, job_id, "w")(0.9, "late")
    for answer in ({"stopped": True}, {"plan_number": 7}, {"error": {"problem": "no"}}):
        finish(book, job_id, "w", answer)
    assert book.read(job_id).state == "running"
    assert book.wanted(job_id, "other")
    assert book.progress(job_id, "other", 0.9, "on")


# ---------------------------------------------------------------- stages of a plan


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration planned in stages without a break."""
    work = tmp_path_factory.mktemp("whole")
    _run(work, STAGES)
    return work


def _run(work: Path, stages: tuple[str, ...]) -> None:
    made = PlanStages(demo_case(), work, numerics=Numerics(**COARSE))
    for stage in stages:
        made.run(stage)


def test_an_exposure_comes_back_bit_by_bit(whole: Path) -> None:
    exposure = load_exposure(whole / "simulate")
    record = json.loads((whole / "report" / "plan.json").read_text())
    assert exposure.content_hash() == record["hashes"]["exposure"]
    page = json.loads((whole / "report" / "exposure.json").read_text())
    for name, field in exposure.fields.items():
        sent = (whole / "report" / f"field-{name}.f32").read_bytes()
        assert sent == field.array.astype("<f4").tobytes()
        assert page["fields"][name]["unit"] == field.unit


def test_a_damaged_exposure_is_refused(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "simulate", tmp_path / "cut")
    (tmp_path / "cut" / "time.raw").write_bytes(b"\0" * 7)
    with pytest.raises(InputError, match="damaged"):
        load_exposure(tmp_path / "cut")


def test_stages_in_separate_runs_give_the_same_plan(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "plan", tmp_path / "plan")
    shutil.copytree(whole / "simulate", tmp_path / "simulate")
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    _run(tmp_path, STAGES)
    assert {file: file.stat().st_mtime_ns for file in before if file.is_file()} == {
        file: at for file, at in before.items() if file.is_file()
    }, "a finished stage was repeated"
    assert _hashes(tmp_path) == _hashes(whole)


def _hashes(work: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((work / "report" / "plan.json").read_text())["hashes"]
    return found


# ---------------------------------------------------------------- real workers


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, httpx.Client]]:
    with serving(tmp_path_factory.mktemp("jobs"), workers=1) as server:
        client = server.client()
        assert client.post("/api/cases", json={"demo": "medial-branch"}).status_code == 201
        yield server, client
        client.close()


CASE = "demo-l2-medial-branch"


def _start(client: httpx.Client, version: int = 1) -> str:
    body = {"case_version": version, "numerics": COARSE}
    answer = client.post(f"/api/cases/{CASE}/simulate", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def _events(client: httpx.Client, job_id: str, headers: dict[str, str], most: int) -> list[dict[str, Any]]:
    """Events as a browser reads them, until the stream ends or there are enough."""
    found: list[dict[str, Any]] = []
    with client.stream("GET", f"/api/jobs/{job_id}/events", headers=headers, timeout=240) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        number = 0
        for line in stream.iter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: "):
                found.append({"number": number, **json.loads(line[6:])})
                if len(found) == most:
                    break
    return found


def test_a_killed_server_goes_on_where_it_was(tmp_path: Path, whole: Path) -> None:
    """kill -9 in the middle of the solver: the finished step is not repeated, the result is the same."""
    server = Server(tmp_path, workers=1)
    client = server.client()
    client.post("/api/cases", json={"demo": "medial-branch"})
    job_id = _start(client)
    work = tmp_path / "jobs" / job_id
    _wait(lambda: (work / "plan").is_dir() and client.get(f"/api/jobs/{job_id}").json()["fraction"] > 0.15)
    laid = (work / "plan" / "laid.json").stat()
    client.close()
    server.kill()
    kept = tmp_path / "steps.log"
    os.link(work / "steps.log", kept)  # the job's folder is removed at its end; this name of the log stays
    with serving(tmp_path, workers=1) as again:
        assert again.ready_s < 60
        client = again.client()
        assert (work / "plan" / "laid.json").stat().st_mtime_ns == laid.st_mtime_ns
        job = wait_for_job(client, job_id)
        assert job["state"] == "done", job
        assert kept.read_text().split() == ["plan", "simulate", "report"], "each step was done once"
        plans = client.get(f"/api/cases/{CASE}/plans").json()
        assert [one["number"] for one in plans] == [job["plan_number"]] == [1]
        record = client.get(f"/api/cases/{CASE}/plans/1").json()["record"]
        assert record["hashes"] == _hashes(whole), "the result is the one of the unbroken run"
        assert not work.exists(), "nothing of the job is left over"
        client.close()
        assert again.stop() == 0


def _wait(ready: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_events_go_on_after_the_last_one(house: tuple[Server, httpx.Client]) -> None:
    _, client = house
    job_id = _start(client)
    first = _events(client, job_id, {}, 3)
    assert [one["number"] for one in first] == [1, 2, 3]
    rest = _events(client, job_id, {"last-event-id": "2"}, 10_000)
    assert [one["number"] for one in rest] == list(range(3, 3 + len(rest)))
    assert rest[0] == first[2]
    assert rest[-1]["state"] == "done"
    assert _events(client, job_id, {"last-event-id": str(rest[-1]["number"])}, 10) == []


def test_a_running_job_is_cancelled(house: tuple[Server, httpx.Client]) -> None:
    _, client = house
    plans = len(client.get(f"/api/cases/{CASE}/plans").json())
    job_id = _start(client)
    _wait(lambda: client.get(f"/api/jobs/{job_id}").json()["state"] == "running")
    assert client.delete(f"/api/jobs/{job_id}").json()["state"] in ("cancelling", "cancelled")
    assert wait_for_job(client, job_id)["state"] == "cancelled"
    assert len(client.get(f"/api/cases/{CASE}/plans").json()) == plans


def test_a_job_that_cannot_succeed_says_why(house: tuple[Server, httpx.Client]) -> None:
    _, client = house
    bare = {"id": "bare", "patient": {"id": "p"}}
    client.post("/api/cases", json={"case": bare})
    job_id = client.post("/api/cases/bare/simulate", json={"case_version": 1}).json()["job_id"]
    job = wait_for_job(client, job_id)
    assert job["state"] == "failed"
    assert job["error"]["type"] == "InputError"
    assert "image" in job["error"]["problem"] + job["error"]["where"]


def test_a_version_that_is_not_there(house: tuple[Server, httpx.Client]) -> None:
    _, client = house
    answer = client.post(f"/api/cases/{CASE}/simulate", json={"case_version": 77})
    assert answer.status_code == 404


def test_a_worker_that_dies_is_started_again(house: tuple[Server, httpx.Client]) -> None:
    server, client = house
    (pid,) = server.worker_pids()
    os.kill(pid, signal.SIGKILL)
    _wait(lambda: server.worker_pids() not in ([], [pid]))
    assert client.get("/api/health").status_code == 200


def test_the_server_answers_while_it_simulates(house: tuple[Server, httpx.Client]) -> None:
    _, client = house
    job_id = _start(client)
    _wait(lambda: client.get(f"/api/jobs/{job_id}").json()["state"] != "queued")
    times = []
    for _ in range(20):
        begun = time.perf_counter()
        assert client.get("/api/cases").status_code == 200
        times.append(time.perf_counter() - begun)
    assert sorted(times)[10] < 2.0, "a list must not wait for a simulation"
    client.delete(f"/api/jobs/{job_id}")
    wait_for_job(client, job_id)


def test_a_worker_that_cannot_start_is_tried_with_pauses() -> None:
    workers = Workers(1, None, Path("/nonexistent"))
    (name,) = worker_names(1)
    starts = 0
    for _ in range(50):
        if workers._may_start(name):
            workers._starts[name].append(time.monotonic())
            starts += 1
    assert starts <= 4


def _worker(name: str, url: str | None, folder: Path, lease_s: float) -> subprocess.Popen[bytes]:
    """A worker process as a server on a machine of that name would start it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "neurolysis.workstation.worker"], stdin=subprocess.PIPE, cwd=ROOT
    )
    told = {"name": name, "database_url": url, "folder": str(folder), "lease_s": lease_s}
    assert process.stdin is not None
    process.stdin.write(json.dumps(told).encode() + b"\n")
    process.stdin.flush()
    return process


def _taken_over(folder: Path, whole: Path, url: str | None, ending: signal.Signals) -> None:
    """Two machines on one store: the first is lost in the middle of the solver, the second goes on."""
    env = {"NEUROLYSIS_DATABASE_URL": url} if url else {}
    server = Server(folder, workers=0, env=env)
    client = server.client()
    client.post("/api/cases", json={"demo": "medial-branch"})
    job_id = _start(client)
    work, store = folder / "jobs" / job_id, url or f"sqlite:///{folder / 'store.sqlite'}"
    east = _worker("east-0", store, folder, 2.0)
    _wait(lambda: (work / "plan").is_dir() and client.get(f"/api/jobs/{job_id}").json()["fraction"] > 0.15)
    os.kill(east.pid, ending)
    kept = folder / "steps.log"
    os.link(work / "steps.log", kept)
    west = _worker("west-0", store, folder, 2.0)
    job = wait_for_job(client, job_id)
    assert job["state"] == "done", job
    assert kept.read_text().split() == list(STAGES), "each step was done once"
    if ending == signal.SIGSTOP:  # a machine that was only slow comes back: it changes nothing
        os.kill(east.pid, signal.SIGCONT)
        second = _start(client)
        assert wait_for_job(client, second)["state"] == "done", "and both work on"
        assert client.get(f"/api/jobs/{job_id}").json() == job
    plans = client.get(f"/api/cases/{CASE}/plans").json()
    assert [one["number"] for one in plans] == list(range(1, len(plans) + 1))
    assert len(plans) == (2 if ending == signal.SIGSTOP else 1)
    record = client.get(f"/api/cases/{CASE}/plans/1").json()["record"]
    assert record["hashes"] == _hashes(whole)
    for process in (east, west):
        process.kill()
        process.communicate()
    client.close()
    server.kill()


@pytest.mark.verify
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGSTOP])
def test_the_jobs_of_a_silent_machine_are_taken_over_once(
    postgres: PostgresServer, tmp_path: Path, whole: Path, ending: signal.Signals
) -> None:
    _taken_over(tmp_path / "sqlite", whole, None, ending)
    _taken_over(tmp_path / "postgresql", whole, postgres.database(), ending)


@pytest.mark.verify
@pytest.mark.parametrize("after", [0.05, 0.2, 0.4, 0.6, 0.75, 0.9])
def test_killed_at_any_time_each_step_is_done_once(tmp_path: Path, after: float) -> None:
    server = Server(tmp_path, workers=1)
    client = server.client()
    client.post("/api/cases", json={"demo": "medial-branch"})
    job_id = _start(client)
    _wait(lambda: client.get(f"/api/jobs/{job_id}").json()["fraction"] >= after)
    client.close()
    server.kill()
    with serving(tmp_path, workers=1) as again:
        client = again.client()
        job = wait_for_job(client, job_id)
        assert job["state"] == "done", job
        assert len(client.get(f"/api/cases/{CASE}/plans").json()) == 1
        client.close()


@pytest.mark.verify
def test_a_killed_server_on_postgresql_goes_on_where_it_was(postgres: PostgresServer, tmp_path: Path) -> None:
    env = {"NEUROLYSIS_DATABASE_URL": postgres.database()}
    server = Server(tmp_path, workers=1, env=env)
    client = server.client()
    client.post("/api/cases", json={"demo": "medial-branch"})
    job_id = _start(client)
    _wait(lambda: client.get(f"/api/jobs/{job_id}").json()["fraction"] > 0.15)
    client.close()
    server.kill()
    again = Server(tmp_path, workers=1, env=env)
    client = again.client()
    job = wait_for_job(client, job_id)
    assert job["state"] == "done", job
    assert len(client.get(f"/api/cases/{CASE}/plans").json()) == 1
    assert not (tmp_path / "jobs.sqlite").exists()
    client.close()
    again.kill()
