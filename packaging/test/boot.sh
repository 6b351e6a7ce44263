# A Debian of its own for each test, with nothing but its base system and systemd. Read by run.sh.

LEADER= BACKEND=

# Makes the base once; each test boots a copy.
base() {
    [[ -e $WORK/base.stamp ]] && return
    echo "making a fresh Debian ($SUITE)"
    rm -rf $WORK/base
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,curl,rpm $SUITE $WORK/base >$WORK/debootstrap.log 2>&1 ||
        { tail -3 $WORK/debootstrap.log >&2; exit 1; }
    touch $WORK/base.stamp
}

boot() {
    local root=$WORK/$1
    base
    rm -rf "$root"
    cp -a $WORK/base "$root"
    mkdir -p "$root/test"
    cp $here/{deb.sh,rpm.sh,inside.sh} "$root/test/"
    cp "$DIST"/*"$(dpkg --print-architecture)".deb "$DIST"/*"$(uname -m)".rpm "$root/test/"
    # Nothing of it reaches the network, and nothing reaches it.
    systemd-nspawn --quiet --register=no --keep-unit --private-network --directory "$root" --boot >$WORK/"$1.log" 2>&1 &
    container=$!
    trap halt EXIT
    for _ in $(seq 600); do
        LEADER=$(pgrep --parent $container | head -1) || true
        if [[ $LEADER && $(nsenter --all --target "$LEADER" systemctl is-system-running 2>/dev/null) =~ ^(running|degraded)$ ]]; then
            # On the container's loopback, but not in its files: that Debian has nothing but its base system.
            nsenter --net --target "$LEADER" python3 $here/backend.py &
            BACKEND=$!
            return
        fi
        sleep 0.1
    done
    fail "the container does not boot: $(tail -3 $WORK/"$1.log")"
}

enter() { nsenter --all --target "$LEADER" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive bash "$@"; }

halt() {
    [[ $LEADER ]] || return 0
    [[ ! $BACKEND ]] || kill "$BACKEND" 2>/dev/null || true
    kill -s RTMIN+4 "$LEADER" 2>/dev/null || true
    wait $container || true
    LEADER= BACKEND=
    trap - EXIT
}
