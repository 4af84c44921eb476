"""A process that writes into a store for ever and says on standard output what was acknowledged.

Run by ``test_store_crash``, which kills it at random moments: ``store_writer.py URL FOLDER FILES NUMBER``.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

from neurolysis.case import Case
from neurolysis.records.store import Store, local_principal

ME = local_principal("writer")


def say(**acknowledged: Any) -> None:
    """One line, out of this process before anything else happens."""
    os.write(1, (json.dumps(acknowledged) + "\n").encode())


def image(folder: Path, text: str) -> Path:
    """A file with its own content, long enough to be cut in the middle."""
    file = folder / "image"
    file.write_bytes(text.encode() * 20_000)
    return file


def main(url: str, folder: str, files: str, number: str) -> None:
    """Make cases, save versions, documents and drafts, one after another."""
    store = Store.open(url or None, Path(folder))
    chance = random.Random(int(number))  # noqa: S311 (no secret)
    say(ready=True)
    for k in range(100_000):
        id = f"case-{number}-{k}"
        case = Case.model_validate({"id": id, "patient": {"id": "p"}, "image": {"path": "image"}})
        store.create_case(ME, case, {"image": image(Path(files), f"{id} 1 ")})
        say(id=id, version=1, notes="")
        for version in range(2, 2 + chance.randrange(3)):
            case = case.replace(notes=f"{id} {version}")
            store.save_case(ME, id, case, version - 1, {"image": image(Path(files), f"{id} {version} ")})
            say(id=id, version=version, notes=case.notes)
        saved = store.save_document(ME, id, "outcome", {"case_id": id, "clinician": id}, 0)
        say(id=id, document=saved.version)
        store.save_draft(ME, id, "case-evaluate", {"typed": id})
        say(id=id, draft=id)


if __name__ == "__main__":
    main(*sys.argv[1:])
