# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Kernels of other Debian suites, by the names in kernels.txt. Sourced after lib.sh. Each is kept outside the repository
# in $kernel_cache/NAME: vmlinuz, btf (the kernel's types), modules/, and version.
. "$(dirname "$0")/lib-apt.sh"

# kernels_of ARCHITECTURE: which kernels the names mean from here on.
kernels_of() {
  kernel_arch=$1
  kernel_cache=${XDG_CACHE_HOME:-$HOME/.cache}/memcrest/kernels
  [ "$kernel_arch" = amd64 ] || kernel_cache+=-$kernel_arch
}
kernels_of amd64

# kernel_rows: name, suites and pattern of the kernels that there are for this architecture.
# shellcheck disable=SC2154
kernel_rows() {
  awk -v arch="$kernel_arch" '!/^(#|$)/ { sub(/-ARCH$/, "-" arch); if ($3 ~ "-" arch "(-|$)") print $1, $2, $3 }' \
    "$root/scripts/kernels.txt"
}
kernel_row() { kernel_rows | awk -v name="$1" '$1 == name { print $2, $3 }'; }
kernel_names() { kernel_rows | cut -d ' ' -f 1; }
kernel_cached() { [ -s "$kernel_cache/$1/vmlinuz" ] && [ -s "$kernel_cache/$1/version" ]; }

# image_btf IMAGE OUT: out of an arm64 Image, which is not compressed and has no sections: the header of the kernel's BTF
# is found by its magic number, version and length, and says how long the rest is (include/uapi/linux/btf.h).
image_btf() {
  local image=$1 out=$2 start
  start=$(LC_ALL=C grep -obUaP -m 1 '\x9f\xeb\x01\x00\x18\x00{7}' "$image" | head -1 | cut -d : -f 1)
  [ -n "$start" ] || return 1
  word() { od -An -v -t u4 -j $((start + $1)) -N 4 "$image" | tr -d ' '; }
  # head ends first, and pipefail would take that for a failure of tail.
  { tail -c +$((start + 1)) "$image" || true; } | head -c $((24 + $(word 16) + $(word 20))) >"$out"
  [ -s "$out" ]
}

# The kernel's BTF out of a bzImage: its header says where the compressed image is (Documentation/arch/x86/boot.rst).
extract_btf() {
  local vmlinuz=$1 out=$2 sectors offset length start unpack
  if [ "$kernel_arch" = arm64 ]; then
    image_btf "$@"
    return
  fi
  word() { od -An -v -t "u$2" -j "$1" -N "$2" "$vmlinuz" | tr -d ' '; }
  sectors=$(word $((0x1f1)) 1)
  offset=$(word $((0x248)) 4)
  length=$(word $((0x24c)) 4)
  start=$(((sectors + 1) * 512 + offset))
  case $(od -An -v -t x1 -j "$start" -N 4 "$vmlinuz" | tr -d ' ') in
    fd377a58) unpack=xz ;;
    28b52ffd) unpack=zstd ;;
    1f8b*) unpack=gzip ;;
    02214c18) unpack=lz4 ;;
    *)
      say "$vmlinuz: compressed in an unknown way"
      return 1
      ;;
  esac
  # The last four bytes are the size, not part of the stream; some packers complain about what follows it.
  tail -c +$((start + 1)) "$vmlinuz" | head -c $((length - 4)) | "$unpack" -dc >"$out.elf" 2>/dev/null || true
  objcopy -O binary --only-section=.BTF "$out.elf" "$out.tmp" && [ -s "$out.tmp" ] && chmod 644 "$out.tmp" &&
    mv "$out.tmp" "$out"
  local status=$?
  rm -f "$out.elf" "$out.tmp"
  return "$status"
}

# unpack_kernel PACKAGE DIR: the image and its modules into DIR/files. Since 7.0 they are packages of their own.
unpack_kernel() {
  local package=$1 each
  cd "$2" || return
  apt-get -qq download "$package" >&2 || return
  if apt-cache show "linux-binary-${package#linux-image-}" >/dev/null 2>&1; then
    apt-get -qq download "linux-binary-${package#linux-image-}" "linux-modules-${package#linux-image-}" >&2 || return
  fi
  for each in ./*.deb; do dpkg-deb -x "$each" files || return; done
}

# keep_kernel NAME PACKAGE DIR: what is needed of DIR/files, into the cache; version comes last and says it is whole.
keep_kernel() {
  local name=$1 package=$2 files=$3/files kept=${kernel_cache:?}/$1 release=${2#linux-image-}
  rm -rf "$kept"
  mkdir -p "$kept"
  find "$files" -name 'vmlinuz*' -exec cp {} "$kept/vmlinuz" \;
  cp -r "$(find "$files" -type d -path "*lib/modules/$release")" "$kept/modules"
  rm -f "$kept/modules/vmlinuz"
  if ! [ -s "$kept/vmlinuz" ]; then
    say "kernel $name: $package has no image"
    return 1
  fi
  if ! extract_btf "$kept/vmlinuz" "$kept/btf"; then
    say "kernel $name: no BTF in its image"
    return 1
  fi
  printf '%s %s\n' "$(dpkg-deb -f "$3/$package"_*.deb Version)" "$package" >"$kept/version"
}

# fetch_kernel NAME: into the cache unless it is there. A kernel that cannot be had is an error that says why.
fetch_kernel() {
  local name=$1 suites pattern package work lock status=0
  read -r suites pattern <<<"$(kernel_row "$name")"
  if [ -z "${pattern:-}" ]; then
    say "no kernel is called '$name'; there are: $(kernel_names | tr '\n' ' ')"
    return 2
  fi
  mkdir -p "$kernel_cache"
  exec {lock}>"$kernel_cache/.lock-$name"
  flock "$lock"
  if ! kernel_cached "$name"; then
    say "fetching kernel $name"
    work=$(mktemp -d)
    if private_apt "$work" "$suites" "$kernel_arch"; then
      package=$(APT_CONFIG=$work/apt.conf apt-cache pkgnames linux-image- | grep -Ex "$pattern" | sort -V | tail -1)
      if [ -z "$package" ]; then
        say "kernel $name: $suites has no package like $pattern"
      else
        (export APT_CONFIG=$work/apt.conf && unpack_kernel "$package" "$work") &&
          keep_kernel "$name" "$package" "$work"
      fi
    fi
    rm -rf "$work"
  fi
  kernel_cached "$name" || status=2
  exec {lock}>&-
  [ "$status" -ne 2 ] || say "kernel $name cannot be had"
  return "$status"
}
