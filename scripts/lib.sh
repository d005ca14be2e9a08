# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# What the scripts share. Sourced; sets $root to the project's directory.
# shellcheck disable=SC2034
root=$(cd "$(dirname "$0")/.." && pwd -P)

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() {
  say "$*"
  exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# packages GROUP...: lines of packages.txt: a name, or COMMAND:NAME, a package that is needed only where there is no such
# command, since it may have come from elsewhere.
packages() {
  for group in "$@"; do
    awk -v group="$group" '
      /^\[/ { active = ($0 == "[" group "]"); known = known || active; next }
      /^#/ || /^$/ { next }
      active { print $1 }
      END { exit !known }' "$root/scripts/packages.txt" || die "no package group '$group' in packages.txt"
  done
}

# Whether an installed package stands for one of this name, as a nodejs from elsewhere does for npm.
is_provided() {
  # shellcheck disable=SC2016
  dpkg-query -W -f='${db:Status-Status}, ${Provides}\n' 2>/dev/null | sed -n 's/^installed, //p' | tr ',' '\n' |
    awk -v name="$1" '$1 == name { found = 1 } END { exit !found }'
}

missing_packages() {
  for package in $(packages "$@"); do
    case $package in
      *:*)
        ! command -v "${package%%:*}" >/dev/null 2>&1 || continue
        package=${package#*:}
        ;;
    esac
    # shellcheck disable=SC2016
    case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) in
      installed) ;;
      *) is_provided "$package" || printf '%s\n' "$package" ;;
    esac
  done
}

# need_packages GROUP...: installs what is missing when we are root, else says what to install.
need_packages() {
  command -v dpkg-query >/dev/null 2>&1 || {
    say "not a Debian system: the tools of scripts/packages.txt must be there already"
    return 0
  }
  missing=$(missing_packages "$@" | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  is_root || die "missing packages; as root: apt-get install $missing"
  say "installing $missing"
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt_install $missing
}

apt_install() {
  # The package lists may be old or absent: fetch them only when it fails without.
  apt-get -q -y --no-install-recommends install "$@" >&2 && return 0
  apt-get -q update >&2 && apt-get -q -y --no-install-recommends install "$@" >&2
}

jobs() { nproc 2>/dev/null || echo 2; }

# configure_and_build PRESET [TARGET]...: from nothing in the quick way, a dozen sources at once; where that fails, each for
# itself (sources that do not go together are no error of theirs). A build directory that is there stays as it is.
configure_and_build() {
  preset=$1
  shift
  if [ -e "$root/build/$preset/CMakeCache.txt" ]; then
    configure "$preset"
  else
    configure "$preset" -DMEMCREST_UNITY=ON
  fi || return 1
  if ! build_targets "$preset" "$@"; then
    grep -q '^MEMCREST_UNITY:BOOL=ON' "$root/build/$preset/CMakeCache.txt" || return 1
    say "a dozen sources at once do not build: each for itself"
    configure "$preset" -DMEMCREST_UNITY=OFF && build_targets "$preset" "$@"
  fi
}
configure() (
  launcher=
  if command -v ccache >/dev/null 2>&1; then
    launcher=ccache
  fi
  cd "$root" && cmake --preset "$@" -DCMAKE_CXX_COMPILER_LAUNCHER="$launcher" -DCMAKE_C_COMPILER_LAUNCHER="$launcher"
)
build_targets() (
  directory=$root/build/$1
  shift
  cmake --build "$directory" --parallel "$(jobs)" ${1:+--target} "$@"
)
