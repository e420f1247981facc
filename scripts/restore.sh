#!/bin/sh
# Restores outputs from DVC's cache, so that dvc repro does not compute them again, and lists those that are missing
# there. Lists nothing in a clone without a cache, where all are missing. Refuses files that a merge left in conflict.
set -eu
for file in dvc.lock dvc.yaml params.yaml; do
    if grep -q '^<<<<<<< ' $file 2>/dev/null; then
        echo "error: $file is in conflict after a merge; edit it, or run git checkout HEAD -- $file to keep this branch's" >&2
        exit 1
    fi
done
test -d .dvc/cache/files || exit 0
dvc checkout --quiet --allow-missing || true
status=$(dvc data status --json 2>/dev/null) || exit 0 # dvc repro will say why
missing=$(echo "$status" | python -c 'import json, sys; print(*json.load(sys.stdin).get("not_in_cache", [])[:5])')
test -z "$missing" || echo "not in DVC's cache, so dvc repro computes it again unless dvc pull gets it: $missing"
