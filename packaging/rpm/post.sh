# A first installation does what the system's presets say of services: on Fedora and its relatives, leave it off.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    [ "$1" -ne 1 ] || systemctl --no-reload preset UNIT || :
fi
