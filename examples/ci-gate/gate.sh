#!/usr/bin/env bash
# Fails where an artifact has grown, slowed or drifted from the one that was released; what a CI job runs.
#
#     gate.sh ARTIFACT RELEASED [REPORTS]
#
# writes REPORTS/gate.xml (JUnit), gate.md (Markdown) and gate.json, and adds the table to the job's summary.
set -euo pipefail

artifact=$1 released=$2 reports=${3:-reports}
mkdir -p "$reports"

status=0
slimml gate "$artifact" --baseline "$released" \
    --max-larger 5% --max-slower 10% --max-diff 0 \
    --junit "$reports/gate.xml" --markdown "$reports/gate.md" --json "$reports/gate.json" || status=$?

if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -f "$reports/gate.md" ]; then
    cat "$reports/gate.md" >>"$GITHUB_STEP_SUMMARY"
fi
exit "$status"
