#!/bin/sh
# Prints, as Markdown, what differs between the commit $BASE and the working tree.
set -eu
base=${BASE:-HEAD}
if ! git rev-parse --verify --quiet "$base^{commit}" >/dev/null; then
    base=HEAD  # the first push of a branch has no commit before
fi

section() {
    printf '\n### %s\n\n' "$1"
    shift
    table=$("$@")
    printf '%s\n' "${table:-No difference.}"
}

printf '## Against %s\n' "$(git rev-parse --short "$base")"
section Parameters dvc params diff --md "$base"
section Metrics dvc metrics diff --md "$base"
section "Stages and outputs in dvc.lock" git diff --stat "$base" -- dvc.lock
