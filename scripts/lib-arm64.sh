# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What a build for arm64 links: libraries of that architecture, unpacked outside the repository in $arm64_sysroot, of
# the suite that this machine runs. Sourced after lib.sh. The C library is the cross compiler's own.
. "$(dirname "$0")/lib-apt.sh"
arm64_sysroot=${XDG_CACHE_HOME:-$HOME/.cache}/memcrest/arm64

# fetch_arm64_sysroot: into the cache unless the same packages are there. The list of them comes last: all are there.
fetch_arm64_sysroot() (
  suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  wanted=$(packages arm64-sysroot)
  mkdir -p "$arm64_sysroot"
  exec {lock}>"$arm64_sysroot.lock"
  flock "$lock"
  [ "$wanted" != "$(cat "$arm64_sysroot/packages" 2>/dev/null)" ] || exit 0
  say "fetching libraries for arm64"
  rm -rf "${arm64_sysroot:?}"
  mkdir -p "$arm64_sysroot"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  if private_apt "$work" "$suite,$suite-security" arm64; then
    cd "$work" || exit
    # shellcheck disable=SC2086
    APT_CONFIG=$work/apt.conf apt-get -qq download $wanted >&2 &&
      for each in ./*.deb; do dpkg-deb -x "$each" "$arm64_sysroot" || exit; done &&
      printf '%s\n' "$wanted" >"$arm64_sysroot/packages" && exit 0
  fi
  say "the libraries for arm64 cannot be had"
  exit 1
)
