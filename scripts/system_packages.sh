#!/bin/sh
# Install Debian packages if that needs no password; otherwise say what to install.
# Usage: scripts/system_packages.sh PACKAGE...
set -eu

missing=""
for package in "$@"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        root="env"
    elif sudo -n true 2>/dev/null; then
        root="sudo -n env"
    else
        root=""
    fi
    # shellcheck disable=SC2086  # both are lists of words
    if [ -n "$root" ] &&
        $root apt-get update -qq &&
        $root DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            $missing >/dev/null; then
        exit 0
    fi
fi
echo "Please install these system packages and try again (Debian's names):$missing" >&2
exit 1
