#!/usr/bin/env bash
# Starts Slurm with this machine as its only node, on the loopback, for tests and for trying out:
#   scripts/dev/start_slurm.sh [start|stop|status]
# Needs root, and Debian's or Ubuntu's packages (apt-get install slurm-wlm munge). No systemd, no
# accounting, no cgroups. Prints the file to give as SLURM_CONF. Starting twice is harmless.
set -euo pipefail

home=${MAKERLAB_SLURM_HOME:-/var/tmp/makerlab_slurm}
conf=$home/slurm.conf

fail() {
    echo "error: $1" >&2
    exit 2
}

alive() { # the process of a pid file, if it is still the program it should be
    local pid
    pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && grep -qs "$2" "/proc/$pid/cmdline"
}

write_configuration() {
    local cpus memory
    cpus=${MAKERLAB_SLURM_CPUS:-$(nproc)}
    memory=$(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
    cat >"$conf" <<END
ClusterName=makerlab
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmctldPort=${MAKERLAB_SLURM_PORT:-16817}
SlurmdPort=$((${MAKERLAB_SLURM_PORT:-16817} + 1))
# Requeued jobs start after this many seconds rather than two minutes.
AuthInfo=cred_expire=5
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool
SlurmctldPidFile=$home/slurmctld.pid
SlurmdPidFile=$home/slurmd.pid
SlurmctldLogFile=$home/slurmctld.log
SlurmdLogFile=$home/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
# A small cluster can afford to look for work all the time.
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1,bf_interval=1
# So that it may have more CPUs than the machine, for tests of many small jobs.
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=10
NodeName=localhost NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE OverSubscribe=NO State=UP
END
}

start_munge() {
    pgrep -x munged >/dev/null && return
    mkdir -p /run/munge /var/log/munge
    chown munge: /run/munge /var/log/munge
    [ -e /etc/munge/munge.key ] || fail "no /etc/munge/munge.key; reinstall the package munge"
    setpriv --reuid=munge --regid=munge --clear-groups munged
}

start() {
    [ "$(id -u)" = 0 ] || fail "only root can start Slurm's daemons"
    for program in slurmctld slurmd munged; do
        command -v $program >/dev/null || fail "no $program; apt-get install slurm-wlm munge"
    done
    mkdir -p "$home/state" "$home/spool"
    start_munge
    alive "$home/slurmctld.pid" slurmctld || { write_configuration && slurmctld -f "$conf"; }
    alive "$home/slurmd.pid" slurmd || slurmd -f "$conf" -N localhost
    for _ in $(seq 100); do
        case $(SLURM_CONF=$conf sinfo -h -o %T 2>/dev/null) in
            idle* | mixed* | alloc* | comp*) echo "$conf" && return ;;
            # A controller killed before it wrote down a job's start finds the job there twice.
            drain* | drng*) SLURM_CONF=$conf scontrol update NodeName=localhost State=RESUME ;;
        esac
        sleep 0.2
    done
    fail "Slurm does not answer; see $home/slurmctld.log and $home/slurmd.log"
}

stop() {
    for daemon in slurmd slurmctld; do
        alive "$home/$daemon.pid" $daemon && kill "$(cat "$home/$daemon.pid")"
    done
    for _ in $(seq 50); do
        alive "$home/slurmctld.pid" slurmctld || alive "$home/slurmd.pid" slurmd || return 0
        sleep 0.1
    done
    fail "Slurm's daemons don't end; see $home"
}

case ${1:-start} in
    start) start ;;
    stop) stop ;;
    status) SLURM_CONF=$conf sinfo ;;
    *) fail "found '$1', expected start, stop or status" ;;
esac
