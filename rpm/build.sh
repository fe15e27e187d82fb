#!/usr/bin/env bash
# Builds the RPM from this checkout and prints its path: rpm/build.sh [FOLDER] (var/rpm when no folder is given).
#
#   MUTT_EL=8|9|10            the RHEL it is for; on RHEL that of this host, elsewhere 9
#   MUTT_ARCH=x86_64|aarch64  the processor it is for; this host's when not given
#   MUTT_PYTHON=PROGRAM       a Python of the minor version that RHEL has (3.11, or 3.12 on RHEL 10), with pip
#   SOURCE_DATE_EPOCH         the time that all files get; that of the last commit when not given
#
# Wheels are downloaded once, into var/wheels; a later build needs no network. Two builds of one commit with the same
# Python give the same file, byte for byte.
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8 TZ=UTC

here=$(cd "$(dirname "$0")/.." && pwd)
outdir=$(mkdir -p "${1:-$here/var/rpm}" && cd "${1:-$here/var/rpm}" && pwd)

die() {
    echo "rpm/build.sh: $*" >&2
    exit 1
}

# --- what it is for ---------------------------------------------------------------------------------------------

el=${MUTT_EL:-$(rpm --eval '%{?rhel}' 2>/dev/null || true)}
el=${el:-9}
arch=${MUTT_ARCH:-$(uname -m)}
case $el in
    8 | 9) version=3.11 ;;
    10) version=3.12 ;;
    *) die "MUTT_EL must be 8, 9 or 10, not $el" ;;
esac
case $arch in
    x86_64 | aarch64) ;;
    *) die "MUTT_ARCH must be x86_64 or aarch64, not $arch" ;;
esac

# --- tools ------------------------------------------------------------------------------------------------------

install_packages() {
    [ "$(id -u)" -eq 0 ] || die "missing on this machine, and only root can install it: $*"
    if command -v apt-get >/dev/null; then
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y -q --no-install-recommends "$@" >&2 ||
            { apt-get update -q >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2; }
    else
        dnf install -y "$@" >&2
    fi
}

has_pip() {
    [ -n "$1" ] && "$1" -I -c "import sys, pip._vendor.packaging; sys.exit('%d.%d' % sys.version_info[:2] != '$version')" 2>/dev/null
}

find_python() {
    local candidate
    for candidate in "${MUTT_PYTHON:-}" "/usr/bin/python$version" "$(command -v "python$version" || true)"; do
        if has_pip "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

command -v rpmbuild >/dev/null ||
    if command -v apt-get >/dev/null; then install_packages rpm; else install_packages rpm-build; fi
if ! python=$(find_python); then
    if command -v apt-get >/dev/null; then
        install_packages "python$version" python3-pip
    elif [ "$el" = 10 ]; then
        install_packages python3 python3-pip
    else
        install_packages "python$version" "python$version-pip"
    fi
    python=$(find_python) || die "no Python $version with pip here; name one with MUTT_PYTHON"
fi

# --- sources ----------------------------------------------------------------------------------------------------

if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git -C "$here" log -1 --format=%ct 2>/dev/null) ||
        SOURCE_DATE_EPOCH=$(stat -c %Y "$here/setup.cfg") # A tarball without its history.
fi
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/sources"
package_version=$(sed -n 's/^Version: *//p' "$here/rpm/mutt.spec")

pack() { # pack ARCHIVE FOLDER OPTIONS...: the same bytes for the same files.
    local archive=$1 folder=$2
    shift 2
    tar --create --file "$archive" --directory "$folder" --format gnu --sort name --owner 0 --group 0 --numeric-owner \
        --mode 'u=rwX,go=rX' --mtime "@$SOURCE_DATE_EPOCH" --exclude __pycache__ "$@"
}

wheels=$here/var/wheels/py$version-$arch
mkdir -p "$wheels"
"$python" "$here/rpm/bundled.py" provides "$here/requirements.lock" "$version" >"$work/sources/mutt-bundled.inc"
"$python" "$here/rpm/bundled.py" requirements "$here/requirements.lock" "$version" >"$work/requirements.txt"
if ! cmp -s "$work/requirements.txt" "$wheels/requirements.txt"; then
    echo "rpm/build.sh: downloading wheels for Python $version on $arch" >&2
    rm -rf "$wheels" && mkdir -p "$wheels"
    # shellcheck disable=SC2046 # One word an option.
    "$python" -m pip download -qq --no-deps --require-hashes --only-binary=:all: --disable-pip-version-check \
        $("$python" "$here/rpm/bundled.py" platforms "$arch") --implementation cp --python-version "$version" \
        --abi "cp${version/./}" --dest "$wheels" --requirement "$work/requirements.txt" >&2
    cp "$work/requirements.txt" "$wheels/"
fi
pack "$work/sources/mutt-wheels.tar" "$wheels" .
cp "$here/rpm/mutt.rpmlintrc" "$work/sources/"
parts="CHANGELOG.md LICENSE README.md docs etc mutt requirements.lock rpm setup.cfg sql systemd"
if [ -d "$here/monitoring" ]; then
    parts="$parts monitoring"
fi
# shellcheck disable=SC2086 # One word a folder.
pack "$work/sources/mutt-$package_version.tar" "$here" --transform "s,^,mutt-$package_version/," $parts

# --- build ------------------------------------------------------------------------------------------------------

# --nodeps: on Debian nothing is in the RPM database; what the build needs has been looked for above.
if ! rpmbuild -bb --nodeps --target "$arch-linux" "$here/rpm/mutt.spec" \
    --define "_topdir $work" --define "_sourcedir $work/sources" --define "_rpmdir $work/rpms" \
    --define "_tmppath $work" --define "_sysconfdir /etc" --define "_bindir /usr/bin" --define "_datadir /usr/share" \
    --define "dist .el$el" --define "mutt_python /usr/bin/python$version" --define "mutt_python_version $version" \
    --define "mutt_build_python $python" >"$work/log" 2>&1; then
    cat "$work/log" >&2
    die "rpmbuild failed"
fi
for package in "$work"/rpms/*/*.rpm; do
    mv "$package" "$outdir/"
    echo "$outdir/${package##*/}"
done
