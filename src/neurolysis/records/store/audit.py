"""The audit trail: one line for each read and write, chained by hash; added to, never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from neurolysis.quantity import canonical_json
from neurolysis.records.store.tables import audit, audit_head, clean
from neurolysis.records.store.values import AuditRow, Problem

START = "0" * 64
PAGE = 1000


def line_hash(line: Mapping[str, Any]) -> str:
    """SHA-256 over the hash of the line before and the canonical JSON of this line without its own hash."""
    rest = {name: value for name, value in line.items() if name not in ("hash", "previous")}
    return hashlib.sha256((line["previous"] + canonical_json(rest)).encode()).hexdigest()


def append(connection: sa.Connection, lines: list[dict[str, Any]]) -> None:
    """Add lines in the transaction of what they tell; the head's row lock puts writers in one order."""
    last = connection.execute(sa.select(audit_head).with_for_update()).one()
    seq, previous = last.seq, last.hash
    for line in lines:
        seq += 1
        line |= {"seq": seq, "previous": previous}
        previous = line["hash"] = line_hash(line)
    connection.execute(audit.insert(), lines)
    connection.execute(audit_head.update().values(seq=seq, hash=previous))


def head(connection: sa.Connection) -> tuple[int, str]:
    """Number and hash of the last line."""
    row = connection.execute(sa.select(audit_head)).one()
    return row.seq, row.hash


def rows(
    connection: sa.Connection, case_id: str | None = None, after: int | None = None, limit: int | None = None
) -> Iterator[AuditRow]:
    """Lines in order, of one case or all, after a number."""
    query = sa.select(audit).order_by(audit.c.seq)
    if case_id is not None:
        query = query.where(audit.c.case_id == clean(case_id))
    if after is not None:
        query = query.where(audit.c.seq > min(max(after, -1), 2**62))
    if limit is not None:
        query = query.limit(limit)
    for row in connection.execute(query).mappings():
        yield AuditRow.model_validate(dict(row))


def verify(connection: sa.Connection, known_heads: Mapping[int, str] | None = None) -> Iterator[Problem]:
    """Everything that is wrong with the chain.

    Args:
        known_heads: number and hash of lines noted elsewhere (a backup, an export); a trail that was
            rewritten as a whole no longer holds them.
    """
    wanted = dict(known_heads or {})
    last = connection.execute(sa.select(audit_head)).one_or_none()
    seq, previous = 0, START
    while page := _page(connection, seq):
        for line in page:
            yield from _line_problems(line, seq + 1, previous, wanted)
            seq, previous = line["seq"], line["hash"]
    if last is None or (last.seq, last.hash) != (seq, previous):
        yield _problem(seq, "the trail does not end where its head says: lines are missing or were added")
    for number in sorted(number for number in wanted if number > seq):
        yield _problem(number, "a line noted elsewhere is missing")


def _page(connection: sa.Connection, after: int) -> list[dict[str, Any]]:
    query = sa.select(audit).where(audit.c.seq > after).order_by(audit.c.seq).limit(PAGE)
    return [dict(row) for row in connection.execute(query).mappings()]


def _line_problems(
    line: Mapping[str, Any], expected: int, previous: str, wanted: Mapping[int, str]
) -> Iterator[Problem]:
    if line["seq"] != expected:
        yield _problem(expected, f"lines are missing before {line['seq']}")
    if line["previous"] != previous:
        yield _problem(line["seq"], "it does not follow the line before")
    if line_hash(line) != line["hash"]:
        yield _problem(line["seq"], "it was changed after it was written")
    if wanted.get(line["seq"], line["hash"]) != line["hash"]:
        yield _problem(line["seq"], "it is not the line noted elsewhere: the trail was written anew")


def _problem(seq: int, text: str) -> Problem:
    return Problem(where=f"audit line {seq}", text=text)
