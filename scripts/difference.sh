#!/bin/sh
# Prints, as Markdown, the differences between the commit $BASE and the working tree.
set -eu
base=${BASE:-HEAD}
if ! git rev-parse --verify --quiet "$base^{commit}" >/dev/null; then
    base=HEAD  # the first push of a branch has no previous commit
fi

section() {
    printf '\n### %s\n\n' "$1"
    shift
    table=$("$@")
    # Without differences dvc prints at most the table's two header lines.
    if [ "$(printf '%s\n' "$table" | wc -l)" -gt 2 ]; then
        printf '%s\n' "$table"
    else
        echo "No difference."
    fi
}

printf '## Against %s\n' "$(git rev-parse --short "$base")"
section Parameters dvc params diff --md "$base"
section Metrics dvc metrics diff --md "$base"
printf '\n### dvc.lock\n\n'
git diff --quiet "$base" -- dvc.lock && echo "No difference." || echo "Inputs or outputs differ from that commit."
