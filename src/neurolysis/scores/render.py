"""Questionnaires as forms: an accessible page that prints, and plain text. No script is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from neurolysis.scores.registry import form

STYLE = """
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem; }
body { color: #1b2733; }
h1 { font-size: 1.5rem; margin-bottom: 0.3rem; }
fieldset { border: 0; border-top: 1px solid #c9d3dc; margin: 0; padding: 0.9rem 0; break-inside: avoid; }
legend { font-weight: 600; padding: 0; }
.answers { display: flex; flex-wrap: wrap; gap: 0.4rem 1.4rem; }
label { display: inline-flex; align-items: center; gap: 0.5rem; min-height: 2rem; cursor: pointer; }
input { width: 1.15rem; height: 1.15rem; }
input:focus-visible { outline: 3px solid #0b5c6b; outline-offset: 2px; }
footer { color: #5b6b7a; font-size: 0.85rem; margin-top: 1.5rem; }
"""


def form_html(id: str) -> str:
    """A self-contained page with one group of radio buttons an item; usable by keyboard and on paper.

    Raises:
        UnknownNameError: no such questionnaire.
        InputError: its items may not be shipped.
    """
    definition = form(id)
    items = "".join(_item_html(number, item) for number, item in enumerate(definition["item"], start=1))
    title, lead = escape(definition["title"]), escape(definition["description"])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<style>{STYLE}</style></head><body><main><h1>{title}</h1><p id="lead">{lead}</p>'
        f'<form method="post" aria-describedby="lead">{items}</form>'
        f"<footer>{escape(definition['copyright'])}</footer></main></body></html>\n"
    )


def _item_html(number: int, item: Mapping[str, Any]) -> str:
    name = escape(item["linkId"])
    answers = "".join(
        f'<label><input type="radio" name="{name}" value="{escape(option["code"])}" required>'
        f"{escape(option['display'])}</label>"
        for option in _options(item)
    )
    return (
        f"<fieldset><legend>{number}. {escape(item['text'])}</legend>"
        f'<div class="answers">{answers}</div></fieldset>'
    )


def form_text(id: str) -> str:
    """The same as plain text, for a terminal or a plain print; errors as in :func:`form_html`."""
    return "\n".join(_lines(form(id)))


def _lines(definition: Mapping[str, Any]) -> Iterator[str]:
    yield definition["title"]
    yield definition["description"]
    for number, item in enumerate(definition["item"], start=1):
        yield f"\n{number}. {item['text']}"
        yield from (f"   [ ] {option['display']} ({option['code']})" for option in _options(item))
    yield f"\n{definition['copyright']}"


def _options(item: Mapping[str, Any]) -> list[Mapping[str, str]]:
    return [option["valueCoding"] for option in item["answerOption"]]
