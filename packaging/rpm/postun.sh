if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    [ "$1" -lt 1 ] || systemctl try-restart UNIT || :
fi
if [ "$1" -eq 0 ]; then
    rmdir FOLDERS 2>/dev/null || :
fi
