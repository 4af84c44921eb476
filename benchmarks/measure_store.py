"""How long the store takes: the list of 10 000 cases, saves, a check and a backup.

python benchmarks/measure_store.py [--cases 10000] [--url postgresql://...]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from neurolysis.case import Case
from neurolysis.quantity import canonical_json
from neurolysis.records.store import Principal, Store, local_principal
from neurolysis.records.store.state import derived_row
from neurolysis.records.store.tables import case_versions, cases, sealed, shares

NERVES = ("lumbar_medial_branch_L2", "celiac_plexus", "intercostal_nerves", "genicular_nerves")
WORDS = ("knee", "back", "cancer", "rib", "left", "right", "after surgery", "chronic")
DOCTORS = 5


def case(k: int) -> Case:
    """The k-th case of the list."""
    return Case.model_validate(
        {
            "id": f"case-{k:06d}", "title": f"{WORDS[k % 8]} pain, {WORDS[(k // 8) % 8]}, number {k}",
            "patient": {"id": f"patient-{k % 4000:05d}"}, "notes": "n" * 500,
            "target": {"nerve": NERVES[k % 4], "side": "left" if k % 3 else "right", "bony_level": f"L{k % 5 + 1}"},
        }
    )  # fmt: skip


def fill(store: Store, count: int) -> None:
    """Many cases in one transaction, as many single saves would have left them; one in 50 is shared."""
    with store.engine.begin() as connection:
        for k in range(count):
            made = case(k)
            at = f"2026-01-{k % 28 + 1:02d}T10:00:00.{k % 1_000_000:06d}Z"
            version = {
                "case_id": made.id, "version": 1, "body": made.canonical_json(), "hash": made.content_hash(),
                "files": canonical_json({}), "reason": "", "made_at": at, "made_by": "bench",
            }  # fmt: skip
            own = {"id": made.id, "owner_id": f"doctor-{k % DOCTORS}", "updated_at": at, "trashed_at": ""}
            blank = {c.name: "" for c in cases.c if c.name not in own}
            connection.execute(cases.insert(), {**blank, **own, "version": 0, "demonstration": 0})
            connection.execute(case_versions.insert(), sealed(version))
            row = sealed({**own, **derived_row(connection, made.id)})
            connection.execute(cases.update().where(cases.c.id == made.id).values(**row))
            if k % 50 == 0:
                share = {"case_id": made.id, "user_id": f"doctor-{(k + 1) % DOCTORS}"}
                connection.execute(shares.insert(), sealed(share))


def measured(name: str, times: int, deed: Callable[[int], object]) -> None:
    """One line: median and 95th percentile in milliseconds."""
    taken = []
    for k in range(times):
        begun = time.perf_counter()
        deed(k)
        taken.append(1000 * (time.perf_counter() - begun))
    taken.sort()
    p95 = taken[min(len(taken) - 1, int(0.95 * len(taken)))]
    print(f"{name:<44} median {statistics.median(taken):8.2f} ms   p95 {p95:8.2f} ms   ({times} times)")


def main() -> None:
    """Fill a store and measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--url", default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(given.url, Path(folder) / "store")
        begun = time.perf_counter()
        fill(store, given.cases)
        print(
            f"{given.cases} cases filled in {time.perf_counter() - begun:.1f} s on {store.engine.dialect.name}"
        )
        doctor = Principal(user_id="doctor-1", name="doctor", role="clinician")
        for who, p in (("one user", local_principal()), ("a doctor's own", doctor)):
            measured(f"list, first page, {who}", given.times, lambda k, p=p: store.list_cases(p))
            measured(f"list, far page, {who}", given.times, lambda k, p=p: store.list_cases(p, offset=1500))
            measured(f"list, two words, {who}", given.times, lambda k, p=p: store.list_cases(p, "knee left"))
            measured(f"list, nothing found, {who}", given.times, lambda k, p=p: store.list_cases(p, "xyzzy"))
            measured(
                f"list, by state, {who}", given.times, lambda k, p=p: store.list_cases(p, state="planned")
            )
        measured("read a case", given.times, lambda k: store.read_case(doctor, f"case-{5 * k + 1:06d}"))
        measured(
            "save a case",
            given.times,
            lambda k: store.save_case(doctor, f"case-{5 * k + 1:06d}", case(5 * k + 1), 1),
        )
        measured(
            "save a draft", given.times, lambda k: store.save_draft(doctor, "case-000001", "k", {"k": k})
        )
        measured("check the whole store", 1, lambda k: store.check())
        measured("backup", 1, lambda k: store.backup(Path(folder) / "backup"))
        store.close()


if __name__ == "__main__":
    main()
