#!/bin/sh
# Let bubblewrap make namespaces on Ubuntu 23.10 and newer, where AppArmor forbids this to ordinary
# programs. Installs a profile that allows only bubblewrap; needs root, and is safe to repeat.
# https://gitlab.com/apparmor/apparmor/-/wikis/unprivileged_userns_restriction
# Usage: sudo scripts/allow_bubblewrap.sh
set -eu

works() {
    # Test as an ordinary user, because the restriction does not apply to root.
    nobody=""
    [ "$(id -u)" != 0 ] || nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
    $nobody bwrap --unshare-user --unshare-pid --ro-bind / / true 2>/dev/null
}

command -v bwrap >/dev/null || {
    echo "Install bubblewrap first: apt install bubblewrap libseccomp2" >&2
    exit 1
}
if works; then
    echo "bubblewrap works already."
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "This needs root: sudo $0" >&2
    exit 1
fi
if [ ! -d /etc/apparmor.d ] || ! command -v apparmor_parser >/dev/null; then
    echo "AppArmor is not the reason that bubblewrap does not work; see SECURITY.md for others." >&2
    exit 1
fi
cat > /etc/apparmor.d/bwrap <<'PROFILE'
# Written by scripts/allow_bubblewrap.sh of the course.
abi <abi/4.0>,
include <tunables/global>

profile bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,
  include if exists <local/bwrap>
}
PROFILE
apparmor_parser -r /etc/apparmor.d/bwrap
if works; then
    echo "bubblewrap works now."
else
    echo "The profile is loaded, but bubblewrap still does not work; see SECURITY.md." >&2
    exit 1
fi
