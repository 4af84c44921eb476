#!/usr/bin/env bash
# Resolves requirements.lock and requirements-dev.lock from pyproject.toml, for every Python >= 3.11.
# Versions already locked are kept where they still fit; pass --upgrade to take newer ones.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=$(command -v uv || echo .venv/bin/uv)
if [ ! -x "$uv" ]; then
  .venv/bin/python -m pip install --quiet uv
  uv=.venv/bin/uv
fi
common=(--universal --python-version 3.11 --no-header --quiet "$@")
"$uv" pip compile pyproject.toml "${common[@]}" --output-file requirements.lock
"$uv" pip compile pyproject.toml --group dev --group docs --group bench "${common[@]}" \
  --constraint requirements.lock --output-file requirements-dev.lock
