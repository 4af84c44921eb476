"""Dates of FHIR as ranges of time: what is written as a year means the whole year."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from neurolysis.errors import InputError

_FORM = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<part>\d{1,9}))?)?"
    r"(?P<zone>Z|[+ -]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
"""Year to fractions of a second; a blank stands for a "+" that was not escaped in an address."""


class Span(NamedTuple):
    """From ``start`` up to, not including, ``end``; both in UTC."""

    start: datetime
    end: datetime


def span_of(text: str, where: str) -> Span:
    """The range of time a FHIR date, dateTime or instant covers; without a zone it is taken as UTC.

    Raises:
        InputError: not a date of FHIR.
    """
    found = _FORM.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)
        return _span(found)
    except (ValueError, OverflowError) as error:
        allowed = "a date such as 2026, 2026-11, 2026-11-27 or 2026-11-27T08:30:00Z"
        raise InputError("not a date", where=where, found=text[:80], allowed=allowed) from error


def _span(found: re.Match[str]) -> Span:
    year, month, day = int(found["year"]), int(found["month"] or 1), int(found["day"] or 1)
    fraction = int((found["part"] or "").ljust(6, "0")[:6])
    hour, minute, second = int(found["hour"] or 0), int(found["minute"] or 0), int(found["second"] or 0)
    start = datetime(year, month, day, hour, minute, second, fraction, UTC)
    return Span(start - _offset(found["zone"]), _end(start, found) - _offset(found["zone"]))


def _end(start: datetime, found: re.Match[str]) -> datetime:
    if found["month"] is None:
        return start.replace(year=start.year + 1)
    if found["day"] is None:
        return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    if found["hour"] is None:
        return start + timedelta(days=1)
    if found["second"] is None:
        return start + timedelta(minutes=1)
    return start + (timedelta(seconds=1) if found["part"] is None else timedelta(microseconds=1000))


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta(0)
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 14 or minutes > 59:
        raise ValueError(zone)
    return (-1 if zone[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes)
