# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Packages of another Debian suite or architecture, without a trace in the machine's own apt and dpkg. Sourced after
# lib.sh. The machine's own apt settings say where packages come from; only the suite and the architecture are changed,
# in a private configuration.
# shellcheck disable=SC2016 # apt's variables
# The sites that this machine takes packages from: $1 is "security" or "main".
apt_site() {
  apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' |
    awk -v kind="$1" '(($2 ~ /-security$/) == (kind == "security")) && $2 !~ /-backports/ { print $1; exit }'
}

# private_apt DIR SUITE,SUITE... [ARCHITECTURE]: a configuration in DIR/apt.conf, with its lists fetched. The machine's
# own lists and architectures stay as they are.
private_apt() {
  local dir=$1 architecture=${3:-amd64} suite site options='' keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  [ ! -e "$keyring" ] || options="[signed-by=$keyring]"
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
  : >"$dir/sources.list"
  for suite in ${2//,/ }; do
    case $suite in
      *-security) site=$(apt_site security) ;;
      *) site=$(apt_site main) ;;
    esac
    if [ -z "$site" ]; then
      say "this machine's apt settings name no site for $suite"
      return 1
    fi
    printf 'deb %s %s %s main\n' "$options" "$site" "$suite" >>"$dir/sources.list"
  done
  cat >"$dir/apt.conf" <<CONF
Dir::Etc::SourceList "$dir/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$dir/lists";
Dir::Cache "$dir/cache";
APT::Sandbox::User "root";
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
Dir::State::status "/dev/null";
Acquire::Languages "none";
Acquire::Retries "3";
CONF
  APT_CONFIG=$dir/apt.conf apt-get -qq update >&2
}
