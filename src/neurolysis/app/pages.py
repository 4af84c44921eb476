"""A document as a web page and a PDF in a folder: both or neither."""

from __future__ import annotations

from pathlib import Path

from neurolysis.errors import OutputError
from neurolysis.report.document import Document


def write_pages(document: Document, folder: Path, name: str) -> tuple[Path, Path]:
    """Write ``name.html`` and ``name.pdf`` into ``folder``, which is made if need be.

    Raises:
        OutputError: a file cannot be written; what was written of it is removed.
    """
    from neurolysis.report.html import page
    from neurolysis.report.pdf import typeset

    contents = {
        folder / f"{name}.html": page(document).encode("utf-8"),
        folder / f"{name}.pdf": typeset(document),
    }
    write_all(contents)
    html, pdf = contents
    return html, pdf


def write_all(contents: dict[Path, bytes]) -> None:
    """Write every file, or none: each is written beside its place first, then all are moved.

    Raises:
        OutputError: naming the folder and the reason.
    """
    fresh = {path: path.with_name(f".{path.name}.new") for path in contents}
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh[path].write_bytes(content)
        for path in contents:
            fresh[path].replace(path)
    except OSError as error:
        for path in fresh.values():
            path.unlink(missing_ok=True)
        where = str(next(iter(contents)).parent)
        raise OutputError(f"cannot write: {error.strerror or error}", where=where) from error
