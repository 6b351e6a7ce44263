# The last version goes, no newer one comes.
if [ "$1" -eq 0 ] && [ -d /run/systemd/system ]; then
    systemctl --no-reload disable --now UNIT || :
fi
