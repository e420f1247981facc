#!/bin/sh
# Installs requirements.lock and the project into .venv. Can be interrupted and run again.
set -eu
cd "$(dirname "$0")/.."

choices=${PYTHON:-python3 python3.13 python3.12 python3.11}
python=
for choice in $choices; do
    if "$choice" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1; then
        python=$choice
        break
    fi
done
if [ -z "$python" ]; then
    echo "error: none of $choices is Python 3.11, 3.12 or 3.13; run make PYTHON=/path/to/python" >&2
    exit 1
fi

# In an incomplete .venv, or one that was moved or copied here, pip does not report this path.
case $(.venv/bin/pip --version 2>/dev/null || true) in
*" $(pwd -P)/.venv/"*) ;;
*)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "error: $python has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2
        exit 1
    fi
    if [ -L .venv ]; then
        rm .venv # the link; what it leads to is another checkout's, which venv would empty
    fi
    "$python" -m venv --clear .venv
    ;;
esac

grep -v '^ray==' requirements.lock >.venv/plain.lock # 240 MB, for a cluster: make cluster-test, docs/scale.md
.venv/bin/python -m pip install --disable-pip-version-check --requirement .venv/plain.lock
.venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --editable .

# Python reads .pth files at every start, so mlflow, bentoml, dvc and pytest always get these settings.
cp scripts/quiet.pth "$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/digitline_quiet.pth"

PATH=$PWD/.venv/bin:$PATH python scripts/plots_page.py
