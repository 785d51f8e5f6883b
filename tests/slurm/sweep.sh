#!/usr/bin/env bash
# A sweep of 12 small cells through a Slurm cluster of its own, with faults on the way: a cell is killed, a job is put into the queue
# again, a time limit is announced, the node is drained and resumed, a cell is started twice. In the end the tables must be those of the
# local pool, byte for byte.
#
#   tests/slurm/sweep.sh [DIR]       DIR keeps what came of it; without it, a temporary folder is used and removed
#
# XTASK names the program (default: target/release/xtask, built if it is not there). Exit code 77: there is no Slurm.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

if [ -z "${XTASK:-}" ]; then
    XTASK=$root/target/release/xtask
    [ -x "$XTASK" ] || (cd "$root" && cargo build --release --package xtask)
fi
if [ $# -gt 0 ]; then
    mkdir -p "$1"
    dir=$(cd "$1" && pwd)
else
    dir=$(mktemp -d "${TMPDIR:-/tmp}/flawforge-slurm-XXXXXX")
fi

finish() {
    local code=$?
    trap - EXIT
    if [ -e "$dir/cluster/slurm.conf" ]; then
        scancel --user="$(id -un)" >/dev/null 2>&1 || true
        "$here/cluster.sh" stop "$dir/cluster" || true
    fi
    if [ $code -ne 0 ] && [ $code -ne 77 ]; then
        echo "FAILED (exit code $code); logs:" >&2
        tail -n 12 "$dir"/slurm/sweep/logs/*.log >&2 2>/dev/null || true
    fi
    [ $# -gt 0 ] || rm -rf "$dir"
    exit $code
}
trap 'finish "$@"' EXIT
say() { echo "$(date +%T) $*"; }
fail() {
    echo "slurm sweep: $*" >&2
    exit 1
}

# Waits up to ten minutes until a command succeeds.
until_true() {
    local what=$1
    shift
    for _ in $(seq 3000); do
        "$@" && return
        sleep 0.2
    done
    fail "waited too long: $what"
}

say "a cluster of one node"
"$here/cluster.sh" start "$dir/cluster" >"$dir/start.txt" || exit $?
export SLURM_CONF=$dir/cluster/slurm.conf
node=$(uname -n)
node=${node%%.*}

cat >"$dir/settings.toml" <<'TOML'
[schedule]
length = "150 steps"

[every]
log = 10
checkpoint = 10
panel = 0
TOML
options=(--profile smoke --config "$dir/settings.toml" --categories gear,weave --methods draem,lin-yan --seeds 3
    --downloads "$dir/no-downloads" --no-times)
out=$dir/slurm

"$XTASK" sweep plan --reproduce table2 "${options[@]}" --out "$out"
[ "$(wc -l <"$out/sweep/manifest.jsonl")" = 12 ] || fail "12 cells were to be planned"
cell() { sed -n "$(($1 + 1))s/.*\"cell\":\"\([^\"]*\)\".*/\1/p" "$out/sweep/manifest.jsonl"; }
folder() { echo "$out/cells/$(cell "$1")"; }
log() { echo "$out/sweep/logs/$1.log"; }
is_training() { [ -e "$(folder "$1")/checkpoint.safetensors" ] || is_done "$1"; }
is_done() { [ -e "$(folder "$1")/result.json" ]; }
has_ended() { [ -z "$(squeue --noheader --jobs="$1" 2>/dev/null)" ]; }
caught() {
    until_true "cell $1 trains" is_training "$1"
    ! is_done "$1" || fail "cell $1 was done before it could be disturbed"
}
# Slurm lets what is put into the queue again wait for two minutes.
at_once() {
    local pending
    pending() { squeue --noheader --jobs="$1" --states=PENDING 2>/dev/null | grep -q .; }
    until_true "job $1 is in the queue again" pending "$1"
    scontrol update JobId="$1" StartTime=now
}

read -r job after < <("$XTASK" sweep slurm --out "$out" --submit --time=30)
say "submitted: array $job, tables $after"

caught 0
process=$(sed -n '1s/^process \([0-9]*\) .*/\1/p' "$(folder 0)/.lock")
kill -KILL "$process"
say "cell 0 was killed (process $process)"

caught 1
scontrol requeue "${job}_1"
at_once "${job}_1"
say "cell 1 was put into the queue again"

caught 2
# scancel tries again and again while the job is on its way into the queue.
timeout 5 scancel --signal=USR1 --batch "${job}_2" || true
at_once "${job}_2"
say "cell 2 heard of its time limit"

until_true "cell 4 trains" is_training 4
scontrol update NodeName="$node" State=DRAIN Reason=test
drained() { [ "$(sinfo --noheader --format=%T)" = drained ]; }
until_true "the node is drained" drained
"$XTASK" sweep status --out "$out" >"$dir/status.txt"
say "drained: $(head -n 1 "$dir/status.txt")"
grep -q " 0 running" "$dir/status.txt" || fail "a drained node runs nothing"
scontrol update NodeName="$node" State=RESUME

caught 9
# The same cell once more, beside the job that has it: it waits, and finds it done.
"$XTASK" sweep cell --out "$out" --index 9 >"$dir/twice.txt" 2>&1 &
twice=$!

until_true "the array has ended" has_ended "$job"
until_true "the tables are written" has_ended "$after"
wait "$twice" || fail "the cell that was started twice: $(cat "$dir/twice.txt")"
grep -q "is at work there; waiting" "$dir/twice.txt" || fail "nobody waited: $(cat "$dir/twice.txt")"
grep -q "finished before" "$dir/twice.txt" || fail "it was done twice: $(cat "$dir/twice.txt")"

"$XTASK" sweep status --out "$out" >"$dir/status.txt"
cat "$dir/status.txt"
grep -q "^12 cells.*: 11 done, 0 running, 1 missing, 0 failed$" "$dir/status.txt" || fail "11 cells were to be done"
grep -q "^missing 0 .*process $process on .* is gone$" "$dir/status.txt" || fail "it is not said that cell 0 was killed"
grep -q -- "^--array=0$" "$dir/status.txt" || fail "cell 0 was to be submitted again"
grep -q "1 of 12 cells are missing" "$out/table2.md" || fail "the first table was to lack a cell"
for index in 1 2; do
    grep -q "restart 1" "$(log $index)" || fail "cell $index was not started again"
    grep -q "saved; the same command goes on" "$(log $index)" || fail "cell $index did not end in order"
done
grep -q "into the queue again" "$(log 2)" || fail "cell 2 did not put itself into the queue again"
! grep -q "into the queue again" "$(log 1)" || fail "cell 1 put itself into the queue again"

read -r job after < <("$XTASK" sweep slurm --out "$out" --submit --time=30)
say "submitted again: array $job, tables $after"
until_true "the array has ended" has_ended "$job"
until_true "the tables are written" has_ended "$after"
"$XTASK" sweep status --out "$out" >"$dir/status.txt"
grep -q ": 12 done" "$dir/status.txt" || fail "12 cells were to be done"
[ -z "$(find "$out/cells" -name '.lock*')" ] || fail "a lock was left behind"

say "the local pool"
"$XTASK" reproduce-table2 "${options[@]}" --jobs 2 --out "$dir/local" >/dev/null 2>"$dir/local.txt" || fail "$(cat "$dir/local.txt")"
for end in md csv json; do
    cmp "$dir/local/table2.$end" "$out/table2.$end" || fail "table2.$end is not that of the local pool"
done
"$XTASK" reproduce-table2 "${options[@]}" --out "$out" >/dev/null 2>"$dir/again.txt" || fail "$(cat "$dir/again.txt")"
grep -q "(12 finished, 0 to run)" "$dir/again.txt" || fail "the local pool was to find all cells done"
cmp "$dir/local/table2.json" "$out/table2.json" || fail "the local pool made another table of the same cells"
say "the tables of Slurm and of the local pool are the same, byte for byte"
