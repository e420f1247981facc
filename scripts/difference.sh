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
    # Where nothing differs dvc prints at most the two head lines of the table.
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
git diff --quiet "$base" -- dvc.lock && echo "No difference." || echo "Other inputs or outputs than in that commit."
