#!/bin/bash
# Upgrade under traffic: a chaos run that begins with kaiwa as it was at an
# earlier commit, and replaces its processes one by one by those of bin/.
#
#	deploy/upgrade.sh COMMIT [flags of kaiwa-dev chaos]
set -euo pipefail

[ $# -ge 1 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
from=$1
shift
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"
scratch=$(mktemp -d)
trap 'git worktree remove --force "$scratch/source" || true; rm -rf "$scratch"' EXIT

git worktree add --quiet --detach "$scratch/source" "$from"
echo "building kaiwa as it was at $(git -C "$scratch/source" log -1 --format='%h, %s')"
(cd "$scratch/source" && "${GO:-go}" build -o "$scratch/kaiwa" ./cmd/kaiwa)
bin/kaiwa-dev chaos --from "$scratch/kaiwa" "$@"
