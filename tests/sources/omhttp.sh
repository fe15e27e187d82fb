#!/usr/bin/env bash
# Builds rsyslog's omhttp module, which Debian does not package, from Debian's source of the rsyslog that is installed:
#
#   tests/sources/omhttp.sh FOLDER
#
# It prints the folder with omhttp.so, FOLDER/VERSION; one that is there already is used again. Nothing of the system is
# changed but for development packages that are missing, which only root can install. With no archive to reach it fails.
set -euo pipefail
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive

die() {
    echo "omhttp.sh: $*" >&2
    exit 1
}

outdir=$(mkdir -p "$1" && cd "$1" && pwd)
version=$(rsyslogd -v | sed -n 's/^rsyslogd  *\([0-9.]*\).*/\1/p')
[ -n "$version" ] || die "rsyslogd does not say its version"
if [ -f "$outdir/$version/omhttp.so" ]; then
    echo "$outdir/$version"
    exit
fi
command -v apt-get >/dev/null || die "this takes Debian's source package, and there is no apt-get here"

needed=(dpkg-dev gcc make pkg-config libc6-dev libestr-dev libfastjson-dev libcurl4-openssl-dev zlib1g-dev uuid-dev)
missing=()
for package in "${needed[@]}"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed' || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
    [ "$(id -u)" -eq 0 ] || die "missing, and only root can install it: ${missing[*]}"
    apt-get -o DPkg::Lock::Timeout=120 install -y -q --no-install-recommends "${missing[@]}" >&2 ||
        { apt-get update -q >&2 && apt-get install -y -q --no-install-recommends "${missing[@]}" >&2; }
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/source"
# A list of sources of our own: the machine's stays as it is.
# shellcheck disable=SC1091
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
echo "deb-src http://deb.debian.org/debian $codename main" >"$work/sources.list"
options=(
    -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User=$(id -un)"
    -o Acquire::http::Timeout=20 -o Acquire::Retries=1
)
apt-get "${options[@]}" update -q >&2
(cd "$work/source" && apt-get "${options[@]}" source -q rsyslog >&2)
cd "$work/source/rsyslog-$version" || die "Debian's source is not of version $version"
./configure --enable-omhttp --disable-libgcrypt --disable-libsystemd --disable-generate-man-pages \
    --disable-default-tests --disable-liblogging-stdlog >"$work/log" 2>&1 || { tail -20 "$work/log" >&2; die "configure failed"; }
make -C contrib/omhttp >"$work/log" 2>&1 || { tail -20 "$work/log" >&2; die "make failed"; }
mkdir -p "$outdir/$version"
install -m 0644 contrib/omhttp/.libs/omhttp.so "$outdir/$version/omhttp.so.new"
mv "$outdir/$version/omhttp.so.new" "$outdir/$version/omhttp.so"
echo "$outdir/$version"
