#!/bin/sh
# Runs the whole line again in a fresh clone of HEAD, with nothing cached, and compares its dvc.lock with this one.
set -eu
here=$PWD
clone=$(mktemp -d)
trap 'rm -rf "$clone"' EXIT
trap 'exit 130' INT TERM

git clone --quiet "$here" "$clone/digitline"
cd "$clone/digitline"
unset MLFLOW_TRACKING_URI
BENTOML_HOME="$clone/bentoml" dvc repro
if ! diff "$here/dvc.lock" dvc.lock; then
    echo "error: a fresh clone ends with another dvc.lock: the first line above that differs names the output" >&2
    exit 1
fi
echo "A fresh clone ends with the same dvc.lock."
