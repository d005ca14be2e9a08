# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the private container runtimes share (docker-up, containerd-up, podman-up and their ends). Sourced after lib.sh,
# with $dir set to the runtime's directory: all that a runtime starts names a file below it, and so it is told apart from
# anybody else's.
# shellcheck disable=SC2154 # dir, root

readonly kWaitSeconds=60

# own_directory DIR: makes DIR and sets $dir to its real path.
own_directory() {
  mkdir -p "$1"
  dir=$(cd "$1" && pwd -P)
  [ ${#dir} -le 70 ] || die "$dir is too long a path for unix sockets"
}

# known_directory DIR SCRIPT: sets $dir to DIR's real path when SCRIPT made it, ends the caller when there is none.
known_directory() {
  [ -d "$1" ] || exit 0
  dir=$(cd "$1" && pwd -P)
  [ "$dir" != / ] || die "not with the root directory"
  if [ -n "$(ls -A "$dir")" ] && [ ! -e "$dir/lock" ]; then
    die "$dir is not a directory of scripts/$2"
  fi
}

cgroup_mounts() {
  awk '{ for (i = 7; i <= NF; i++) if ($i == "-" && $(i+1) ~ /^cgroup2?$/) print $5 }' /proc/self/mountinfo
}

# check_host GROUP TOOL...: GROUP of packages.txt has the tools.
check_host() {
  local group=$1 tool
  shift
  for tool in "$@" busybox; do
    command -v "$tool" >/dev/null 2>&1 || die "$tool is missing (packages: $(packages "$group" | tr '\n' ' '))"
  done
  if [ -z "$(cgroup_mounts)" ]; then
    die "no cgroup filesystem is mounted: mount -t cgroup2 none /sys/fs/cgroup (or each v1 controller) first"
  fi
  if [ ! -f /sys/fs/cgroup/cgroup.controllers ] &&
    ! awk '{ for (i = 7; i <= NF; i++) if ($i == "-" && $(i+1) == "cgroup" && ("," $NF ",") ~ /,memory,/) f = 1 }
           END { exit !f }' /proc/self/mountinfo; then
    die "the memory controller is not mounted"
  fi
}

# remember_cgroups NAME...: the runtimes make these at the top; remove_cgroups removes what was not there before.
remember_cgroups() {
  local mount name
  cgroup_mounts | while read -r mount; do
    for name in "$@"; do
      [ -d "$mount/$name" ] || printf '%s\n' "$mount/$name"
    done
  done >"$dir/cgroups"
}

remove_cgroups() {
  local cgroup
  [ -f "$dir/cgroups" ] || return 0
  while read -r cgroup; do
    [ ! -d "$cgroup" ] || find "$cgroup" -depth -type d -exec rmdir {} \; 2>/dev/null || true
  done <"$dir/cgroups"
}

# find_hog [PROGRAM]: the test program to put into the image, by default the newest one that was built.
find_hog() {
  local hog=${1-}
  [ -n "$hog" ] || hog=$(find "$root"/build -path '*/tests/testprogs/hog' -type f -perm -u+x -printf '%T@ %p\n' \
    2>/dev/null | sort -rn | head -n 1 | cut -d' ' -f2-)
  [ -n "$hog" ] || die "no hog program found under build/: scripts/build first"
  [ -x "$hog" ] || die "$hog is not a program"
  printf '%s\n' "$hog"
}

# make_rootfs ROOTFS HOG: busybox with all its applets, and hog.
make_rootfs() {
  local rootfs=$1
  rm -rf "$rootfs"
  mkdir -p "$rootfs"/{bin,tmp,etc,proc,sys,dev}
  cp "$(command -v busybox)" "$rootfs/bin/busybox"
  cp "$2" "$rootfs/bin/hog"
  busybox --list | while read -r applet; do
    [ "$applet" = busybox ] || ln -s busybox "$rootfs/bin/$applet"
  done
  printf 'root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' >"$rootfs/etc/passwd"
  chmod 1777 "$rootfs/tmp"
}

# pack_image ROOTFS NAME COMMAND: a docker-archive of one layer on stdout, as `docker save` writes it; any runtime
# reads it.
pack_image() {
  local work
  work=$(mktemp -d "$dir/image.XXXXXX")
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$1" -cf "$work/layer.tar" .
  cat >"$work/config.json" <<JSON
{"architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:00Z",
 "config": {"Env": ["PATH=/bin"], "Cmd": ["$3"]},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$(sha256sum "$work/layer.tar" | cut -d' ' -f1)"]}}
JSON
  printf '[{"Config": "config.json", "RepoTags": ["%s"], "Layers": ["layer.tar"]}]\n' "$2" >"$work/manifest.json"
  tar -C "$work" -c manifest.json config.json layer.tar
  rm -rf "$work"
}

# make_image_archives HOG: $dir/test.tar, the image of the tests, and $dir/pause.tar, which only waits and holds the
# namespaces of a pod. Neither belongs to a registry.
make_image_archives() {
  local pause
  pause=$(dirname "$1")/pause
  [ -x "$pause" ] || die "$pause is missing: it is built with hog"
  make_rootfs "$dir/rootfs" "$1"
  pack_image "$dir/rootfs" localhost/memcrest-test:latest /bin/sh >"$dir/test.tar"
  rm -rf "$dir/rootfs"
  mkdir "$dir/rootfs"
  cp "$pause" "$dir/rootfs/pause"
  pack_image "$dir/rootfs" localhost/memcrest-pause:latest /pause >"$dir/pause.tar"
  rm -rf "$dir/rootfs"
}

# start NAME COMMAND...: in a session of its own, so that no Ctrl-C of ours reaches it. Descriptor 9 is the lock.
start() {
  local name=$1
  shift
  setsid "$@" </dev/null >>"$dir/$name.log" 2>&1 9>&- &
  printf '%s\n' $! >"$dir/$name.pid"
}

alive() { [ -d "/proc/$(cat "$dir/$1.pid")" ]; }

# wait_for DAEMON DOWN COMMAND...: until COMMAND succeeds; when it does not, the script DOWN ends all of it.
wait_for() {
  local what=$1 down=$2 deadline=$((SECONDS + kWaitSeconds))
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $deadline ] || ! alive "$what"; then
      tail -n 15 "$dir/$what.log" >&2
      "$root/scripts/$down" "$dir" || true
      die "$what did not come up"
    fi
    sleep 0.1
  done
}

# ours NAME WORD: pids of programs called NAME with WORD in their command line, which names a file of ours: a pid file
# may be old, its number reused.
ours() {
  local proc
  for proc in /proc/[0-9]*; do
    if [ "$(cat "$proc/comm" 2>/dev/null)" = "$1" ] && tr '\0' '\n' <"$proc/cmdline" 2>/dev/null | grep -xF -- "$2" >/dev/null; then
      basename "$proc"
    fi
  done
}

gone() {
  local pid
  for pid in "$@"; do
    # A zombie whose parent does not collect it is gone for us.
    if [ -d "/proc/$pid" ] && ! grep -qs '^State:.Z' "/proc/$pid/status"; then
      return 1
    fi
  done
}

# end SECONDS PID...: asks, waits, then insists.
end() {
  local deadline=$((SECONDS + $1))
  shift
  [ $# -gt 0 ] || return 0
  kill -TERM "$@" 2>/dev/null || true
  until gone "$@"; do
    if [ $SECONDS -ge $deadline ]; then
      kill -KILL "$@" 2>/dev/null || true
    fi
    sleep 0.1
  done
}

# kill_below NAME: ends what runs in cgroups called NAME, which no two containers have in common.
kill_below() {
  local cgroup pid
  while read -r cgroup; do
    while read -r pid; do
      kill -KILL "$pid" 2>/dev/null || true
    done <"$cgroup/cgroup.procs"
  done < <(find /sys/fs/cgroup -type d -name "$1" 2>/dev/null)
}

unmount_all() {
  local mount
  awk '{ print $5 }' /proc/self/mountinfo | sort -r | while read -r mount; do
    mount=$(printf '%b' "$mount") # mountinfo writes spaces as \040
    case $mount in
      "$dir"/*) umount "$mount" 2>/dev/null || umount -l "$mount" 2>/dev/null || true ;;
    esac
  done
}

remove_directory() {
  find "$dir" -xdev -mindepth 1 -delete
  rmdir "$dir" 2>/dev/null || true
}
