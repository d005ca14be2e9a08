#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# In a guest (scripts/vm): the agent as a pod of a node with cgroup v2 has it: in a cgroup namespace of its own, with the
# node's hierarchy mounted, with the capabilities $CAPABILITIES (+bpf,+perfmon,...) alone and no_new_privs. Then an OOM in
# another cgroup. Prints what the agent's API and metrics say. Of the environment: AGENT and HOG, programs.
# shellcheck shell=sh
set -u
exec 2>&1
busybox=/bin/busybox
url=http://127.0.0.1:9464

if [ "${1-}" = inside ]; then
  "$busybox" mount -t cgroup2 none /tmp/own # as the runtime does for each container
  exec /usr/bin/setpriv --bounding-set="-all,$CAPABILITIES" --no-new-privs "$AGENT" agent --directory /tmp/spool \
    --no-user-podman --no-flight-recorder
fi

"$busybox" ifconfig lo 127.0.0.1 up
"$busybox" mkdir -p /tmp/own /tmp/spool
cd /sys/fs/cgroup || exit 1
echo +memory >cgroup.subtree_control
"$busybox" mkdir -p kubepods/agent kubepods/victim
echo +memory >kubepods/cgroup.subtree_control
echo $$ >kubepods/agent/cgroup.procs
/usr/bin/unshare --cgroup --mount "$0" inside &
for _ in $("$busybox" seq 100); do
  "$busybox" sleep 1
  if "$busybox" wget -q -O /dev/null "$url/readyz" 2>/dev/null; then
    break
  fi
done
echo 64M >kubepods/victim/memory.max
"$busybox" sh -c "echo \$\$ >kubepods/victim/cgroup.procs; exec $HOG anon 128m"
for _ in $("$busybox" seq 30); do
  "$busybox" sleep 1
  "$busybox" wget -q -O /tmp/incidents "$url/api/v1/incidents?kind=oom"
  if "$busybox" grep -q victim /tmp/incidents; then
    break
  fi
done
printf '\nINCIDENTS '
"$busybox" cat /tmp/incidents
printf '\n'
"$busybox" wget -q -O - "$url/metrics" | "$busybox" grep '^memcrest_probe_info'
"$busybox" grep CapEff "/proc/$("$busybox" pidof memcrest)/status"
