#!/usr/bin/env bash
# Builds the RPM and a dnf repository with it, and prints the repository's path: rpm/repo.sh [FOLDER] (var/repo when
# no folder is given). The folder keeps the packages that lie there already, so that dnf can downgrade.
#
#   GPG_KEY=ID         signs the packages and the repository's index with this key of the GnuPG key ring (GNUPGHOME)
#   MUTT_REPO_URL=URL  where the folder will be served, for mutt.repo; the folder itself when not given
#
# MUTT_EL, MUTT_ARCH and the rest of rpm/build.sh count here too.
set -euo pipefail
umask 022

here=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mkdir -p "${1:-$here/var/repo}" && cd "${1:-$here/var/repo}" && pwd)
url=${MUTT_REPO_URL:-file://$folder}

die() {
    echo "rpm/repo.sh: $*" >&2
    exit 1
}

need() { # need PROGRAM DEBIAN_PACKAGE RHEL_PACKAGE
    command -v "$1" >/dev/null && return
    [ "$(id -u)" -eq 0 ] || die "$1 is missing; install $2 (Debian) or $3 (RHEL)"
    if command -v apt-get >/dev/null; then
        DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$2" >&2
    else
        dnf install -y "$3" >&2
    fi
}

need createrepo_c createrepo-c createrepo_c
if [ -n "${GPG_KEY:-}" ]; then
    need gpg gnupg gnupg2
    need rpmsign rpm rpm-sign
    gpg --batch --list-secret-keys "$GPG_KEY" >/dev/null 2>&1 ||
        die "there is no secret key $GPG_KEY in ${GNUPGHOME:-$HOME/.gnupg}; 'gpg --list-secret-keys' lists what is there"
fi
package=$("$here/rpm/build.sh" "$folder")

gpgcheck=0
rm -f "$folder/repodata/repomd.xml.asc" "$folder/RPM-GPG-KEY-mutt"
if [ -n "${GPG_KEY:-}" ]; then
    gpgcheck=1
    # An explicit digest: rpm's default and GnuPG's differ, and RHEL 9 refuses SHA-1.
    rpmsign --addsign --define "_gpg_name $GPG_KEY" --define "_gpg_digest_algo sha256" \
        --define "__gpg $(command -v gpg)" ${GNUPGHOME:+--define "_gpg_path $GNUPGHOME"} "$package" >&2 ||
        die "rpmsign could not sign $package"
    gpg --batch --yes --armor --export "$GPG_KEY" >"$folder/RPM-GPG-KEY-mutt"
fi

createrepo_c --quiet --update "$folder"
if [ "$gpgcheck" = 1 ]; then
    gpg --batch --yes --local-user "$GPG_KEY" --digest-algo SHA256 --armor --detach-sign "$folder/repodata/repomd.xml"
fi

cat >"$folder/mutt.repo" <<REPO
# For /etc/yum.repos.d of appliance hosts, and of no others: RHEL's mail client has the same name as this package.
[mutt]
name=MUTT, the Multi-Use Telemetry Tool
baseurl=$url
enabled=1
gpgcheck=$gpgcheck
repo_gpgcheck=$gpgcheck
REPO
if [ "$gpgcheck" = 1 ]; then
    echo "gpgkey=$url/RPM-GPG-KEY-mutt" >>"$folder/mutt.repo"
fi
echo "$folder"
