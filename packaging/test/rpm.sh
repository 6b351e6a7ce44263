# Install, use, upgrade and erase the .rpm. Run in the container, which is a Debian: nothing of its dependencies is known to rpm there.
. /test/inside.sh
cd /test

until_ok curl -sf http://127.0.0.1:11434/api/version
everything >/tmp/before
new=$(ls inferometer-[0-9]*.rpm) helper=$(ls inferometer-helper-[0-9]*.rpm)

rpm -i --nodeps "$new" "$helper"
systemctl start inferometer
works 3
systemctl enable --quiet inferometer
before=$(process)
sed -i '1i access_log = "off"' /etc/inferometer/config.toml
rpm -U --nodeps --replacepkgs "$new"
until_ok inferometer health
works "$([[ $(process) == "$before" ]] && echo 6 || echo 3)"
grep -q access_log /etc/inferometer/config.toml || fail "the upgrade took what somebody wrote"
rpm -V --nodeps inferometer-helper || fail "files are not as they were packed"

rpm -e --nodeps inferometer inferometer-helper
! systemctl is-active --quiet inferometer || fail "it runs after it was erased"
rm -rf /etc/inferometer /var/lib/private/inferometer /var/lib/inferometer
everything >/tmp/after
# What rpm keeps of itself, and folders of shells that this Debian has not: on Fedora they belong to other packages.
sed -i -E '\#/[.]rpmdb(/|$)|^/usr/share/(fish|zsh|bash-completion)(/[a-z_.-]+)?$#d' /tmp/before /tmp/after
diff /tmp/before /tmp/after | grep '^[<>]' >/tmp/left || true
[[ ! -s /tmp/left ]] || { cat /tmp/left; fail "erasing it left something"; }
say rpm "installed, used, upgraded, erased: nothing left but a changed configuration and the state"
