#!/usr/bin/env bash
# A Slurm cluster of one node with two CPUs, with its own configuration, ports, key and state below DIR, for tests.
#
#   tests/slurm/cluster.sh install        installs Slurm and munge from Debian's or Ubuntu's packages; needs root
#   tests/slurm/cluster.sh start DIR      starts munged, slurmctld and slurmd; prints the line to set SLURM_CONF by
#   tests/slurm/cluster.sh stop DIR       ends them
#
# It runs as whoever calls it, needs no systemd, no cgroups and no database, and leaves a cluster of the machine alone. Exit code 77:
# Slurm is not there and cannot be installed, with the reason on standard error.
set -euo pipefail

readonly SKIPPED=77
PATH=$PATH:/usr/sbin:/sbin

skip() {
    echo "slurm: $*" >&2
    exit $SKIPPED
}

there() {
    local program
    for program in slurmctld slurmd sbatch scontrol squeue munged munge; do
        command -v "$program" >/dev/null || return 1
    done
}

install_slurm() {
    there && return
    command -v apt-get >/dev/null || skip "not installed, and there is no apt-get"
    [ "$(id -u)" = 0 ] || skip "not installed, and only root may install it"
    export DEBIAN_FRONTEND=noninteractive
    # Package lists may be missing or old.
    { timeout 300 apt-get update && timeout 600 apt-get install -y --no-install-recommends slurm-wlm munge; } >&2 ||
        skip "apt-get could not install it"
    there || skip "apt-get installed it, but its programs are not found"
}

free_port() {
    local port
    for port in $(shuf -i 20000-32000 -n 50); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    echo "slurm: no free port" >&2
    return 1
}

# Waits up to 60 seconds until a command succeeds.
wait_for() {
    local what=$1
    shift
    for _ in $(seq 300); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.2
    done
    echo "slurm: $what does not answer; logs are in $dir" >&2
    tail -n 5 "$dir"/*.log "$dir"/*.err >&2
    return 1
}

idle() {
    [ "$(sinfo --noheader --format=%T)" = idle ]
}

start() {
    there || skip "not installed ($0 install)"
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    [ ! -e "$dir/slurm.conf" ] || { echo "slurm: $dir holds a cluster already; stop it first" >&2; return 1; }
    chmod 755 "$dir"
    mkdir "$dir/state" "$dir/spool"
    local host user
    host=$(uname -n)
    host=${host%%.*}
    user=$(id -un)
    (umask 077 && head -c 1024 /dev/urandom >"$dir/munge.key")
    # A socket's path may have about 100 characters, a folder of tests is often longer.
    local socket
    socket=$(mktemp -d "${TMPDIR:-/tmp}/flawforge-munge-XXXXXX")
    chmod 755 "$socket"
    echo "$socket" >"$dir/munge.folder"
    munged --force --key-file="$dir/munge.key" --socket="$socket/socket" --pid-file="$dir/munged.pid" \
        --log-file="$dir/munged.log" --seed-file="$dir/munge.seed" >>"$dir/munged.log" 2>&1
    cat >"$dir/slurm.conf" <<CONF
ClusterName=flawforge-test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$socket/socket
CredType=cred/munge
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
ReturnToService=2
JobRequeue=1
KillWait=10
MinJobAge=600
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
CONF
    export SLURM_CONF=$dir/slurm.conf
    slurmctld -f "$SLURM_CONF" -D >"$dir/slurmctld.err" 2>&1 &
    echo $! >"$dir/slurmctld.started"
    slurmd -f "$SLURM_CONF" -D >"$dir/slurmd.err" 2>&1 &
    echo $! >"$dir/slurmd.started"
    if ! wait_for slurmctld scontrol ping || ! wait_for "the node" idle; then
        stop
        return 1
    fi
    echo "export SLURM_CONF=$SLURM_CONF"
}

stop() {
    local name pid
    for name in slurmd.started slurmctld.started munged.pid; do
        [ -s "$dir/$name" ] || continue
        pid=$(cat "$dir/$name")
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
    done
    [ ! -s "$dir/munge.folder" ] || rm -rf "$(cat "$dir/munge.folder")"
    rm -f "$dir/slurm.conf" "$dir/munge.folder" "$dir"/*.pid "$dir"/*.started
    rm -rf "$dir/state" "$dir/spool"
}

case "${1:-} $#" in
"install 1") install_slurm ;;
"start 2")
    dir=$2
    start
    ;;
"stop 2")
    dir=$2
    stop
    ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
