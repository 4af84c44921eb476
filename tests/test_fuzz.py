"""Coverage-guided fuzzing of everything that reads an image, with a fixed seed; `make fuzz` runs on."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "fuzz" / "fuzz_images.py"
# A program inherits the highest memory of its starter: a small one stands between fuzzer and tests.
BETWEEN = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
SETTINGS = ("-seed=1", "-runs=6000", "-max_total_time=60", "-rss_limit_mb=3000", "-timeout=20")


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this interpreter")
def test_no_input_raises_anything_but_our_own_errors(tmp_path: Path) -> None:
    """A crash, a hang of 20 s, 3 GB of memory or a foreign exception ends the fuzzer with its input."""
    done = subprocess.run(
        [sys.executable, "-c", BETWEEN, sys.executable, "-W", "ignore", str(SCRIPT), *SETTINGS],
        capture_output=True, cwd=tmp_path, timeout=300, check=False,
    )  # fmt: skip
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0, said[-3000:]
    assert "Done " in said
