# Install, use, upgrade, remove, purge, in a fresh Debian. Run in the container.
. /test/inside.sh
cd /test

until_ok curl -sf http://127.0.0.1:11434/api/version
everything >/tmp/before
users=$(getent passwd | wc -l)

# The version before, as far as a package manager can see: an older number, and other lines in unit and configuration.
older() {
    rm -rf /tmp/older
    dpkg-deb -R "$1" /tmp/older
    sed -i 's/^Version: .*/Version: 0.1.0-1/' /tmp/older/DEBIAN/control
    echo "# of the version before" | tee -a /tmp/older/usr/lib/systemd/system/inferometer*.service >/dev/null
    [[ ! -e /tmp/older/etc ]] || echo "# of the version before" >>/tmp/older/etc/inferometer/config.toml
    dpkg-deb --root-owner-group -b /tmp/older "/tmp/older_$(basename "$1")" >/dev/null
}

new=$(ls inferometer_*.deb) helper=$(ls inferometer-helper_*.deb)

begin=$(date +%s%N)
apt-get install -y -qq --no-install-recommends "./$new" >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; fail "it does not install"; }
until_ok inferometer health
ask
until_ok has_tokens 3
say deb "from the package to the first figure: $((($(date +%s%N) - begin) / 1000000)) ms"
works 6
[[ $(systemctl is-enabled inferometer) == enabled ]] || fail "it does not start at boot"
[[ -d /var/lib/private/inferometer ]] || fail "it has no folder for its state"
inferometer --config /etc/inferometer/config.toml --print-config >/tmp/a
inferometer --print-config >/tmp/b
cmp -s /tmp/a /tmp/b || fail "the shipped configuration is not the defaults"
say deb "runs as user $(stat -c %u "/proc/$(process)"), $(awk '/VmRSS/ { print $2 " kB" }' "/proc/$(process)/status") resident, enabled"

# A reload takes what somebody wrote into the file.
sed -i 's/^#log_level = .*/log_level = "debug"/' /etc/inferometer/config.toml
systemctl reload inferometer
reloaded() { curl -sf http://127.0.0.1:8001/metrics | grep -q '^ollama_proxy_config_last_reload_successful 1'; }
until_ok reloaded
apt-get purge -y -qq inferometer >/dev/null 2>&1

older "$new"
older "$helper"
apt-get install -y -qq --no-install-recommends "/tmp/older_$new" "/tmp/older_$helper" >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; fail "the older ones do not install"; }
works 3
before=$(process)
echo 'access_log = "off"' | cat - /etc/inferometer/config.toml >/tmp/changed
cp /tmp/changed /etc/inferometer/config.toml
mkdir -p /var/lib/private/inferometer
touch /var/lib/private/inferometer/kept
apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "./$new" "./$helper" >/tmp/apt.log 2>&1 ||
    { cat /tmp/apt.log; fail "it does not upgrade"; }
restarted() { [[ $(process) != "$before" && $(process) != 0 ]]; }
until_ok restarted
works 3
cmp -s /tmp/changed /etc/inferometer/config.toml || fail "the upgrade took what somebody wrote"
! grep -q "version before" /usr/lib/systemd/system/inferometer.service || fail "the unit is the old one"
[[ -e /var/lib/private/inferometer/kept ]] || fail "the upgrade took the state"
say deb "upgrade from 0.1.0-1 to $(dpkg-query -Wf '${Version}' inferometer): restarted, configuration and state kept"

# The helper reads what this machine has; where that is nothing it ends with 1, and is started again.
say helper "$(systemctl show --property Result,ExecMainStatus,NRestarts inferometer-helper | xargs), $(curl -sf http://127.0.0.1:8002/metrics | cut -c1-80 || echo "no answer: $(journalctl -u inferometer-helper -n1 -o cat --no-pager)")"

apt-get remove -y -qq inferometer inferometer-helper >/dev/null 2>&1
! systemctl is-active --quiet inferometer || fail "it runs after it was removed"
[[ -e /etc/inferometer/config.toml && -e /var/lib/private/inferometer/kept ]] || fail "removing it took configuration or state"
[[ ! -e /usr/bin/inferometer ]] || fail "it is still there"
apt-get purge -y -qq inferometer inferometer-helper >/dev/null 2>&1
everything >/tmp/after
diff /tmp/before /tmp/after | grep '^[<>]' >/tmp/left || true
[[ ! -s /tmp/left ]] || { cat /tmp/left; fail "the purge left something, or took something"; }
[[ $(getent passwd | wc -l) == "$users" ]] || fail "a user is left"
say deb "removed, configuration and state kept; purged, nothing left of $(wc -l </tmp/before) paths"
