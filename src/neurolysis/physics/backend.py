"""One place that configures JAX: 64-bit scalars where asked for, and compiled programs kept on disk.

Fields are float32; sums of energy are float64 (hence ``jax_enable_x64``). The compilation cache has
a threshold of zero seconds, so that the second run of a command compiles nothing.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from types import ModuleType


def cache_folder() -> Path:
    """Folder of compiled programs: ``NEUROLYSIS_CACHE_DIR`` or the user's cache folder."""
    import platformdirs

    chosen = os.environ.get("NEUROLYSIS_CACHE_DIR")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("neurolysis")) / "compiled"


@cache
def load_jax() -> ModuleType:
    """Import JAX once, configured. A cache folder that cannot be made is simply not used."""
    import jax

    def update(name: str, value: object) -> None:
        jax.config.update(name, value)  # type: ignore[no-untyped-call]

    update("jax_enable_x64", True)
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        update("jax_compilation_cache_dir", str(folder))
        update("jax_persistent_cache_min_compile_time_secs", 0.0)
        update("jax_persistent_cache_min_entry_size_bytes", -1)
    except OSError:
        pass
    return jax
