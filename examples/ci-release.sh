#!/bin/sh
# Releases a manifest from a pipeline, and takes it back when it fails:
#
#   ci-release.sh cart.yaml
#
# CHECK    a command that looks whether what is released so far is good, run while a batch waits for a person:
#          when it ends with 0 the batch is confirmed, else the rollout is taken back. Without it a batch that
#          waits ends this script with 3: let a person confirm, then run it again, it goes on where it was.
# TIMEOUT  seconds that one batch may take (default 900), then the rollout is taken back.
#
# Ends with 0 released (or so already) · 1 refused, nothing was changed · 3 a person must confirm ·
# 4 taken back · 5 taken back because it took too long · 6 NATS or the planner cannot be reached.
set -u

manifest=${1:?"which manifest? ci-release.sh FILE"}
timeout=${TIMEOUT:-900}
reason="pipeline ${CI_PIPELINE_ID:-${GITHUB_RUN_ID:-by hand}}"

take_back() {
    echo "taking $name back: $2" >&2
    tranche abort "$name" --message "$reason: $2" --wait --timeout "$timeout" || echo "look: tranche status $name" >&2
    exit "$1"
}

# What would happen, for the pipeline's log. 0: nothing, 2: something would change.
tranche plan -f "$manifest"
code=$?
[ "$code" = 0 ] || [ "$code" = 2 ] || exit "$code"

name=$(tranche apply -f "$manifest" --output name) || exit $?

while :; do
    tranche status "$name" --until complete --timeout "$timeout"
    code=$?
    case $code in
        0) exit 0 ;;
        3)
            [ -n "${CHECK:-}" ] || exit 3
            sh -c "$CHECK" || take_back 4 "the check failed"
            tranche confirm "$name" --message "$reason: the check passed" || exit $?
            ;;
        4)
            tranche explain "$name" >&2
            take_back 4 "it failed"
            ;;
        5) take_back 5 "it took longer than $timeout s" ;;
        *) exit "$code" ;;
    esac
done
