# What can be seen of the packages without installing them. Read by run.sh.

say() { printf '%-12s %s\n' "$1:" "$2"; }
fail() { echo "package-test: $*" >&2; exit 1; }

deb() { ls "$DIST/$1"_*_"$(dpkg --print-architecture)".deb; }
rpm_of() { ls "$DIST/$1"-[0-9]*."$(uname -m)".rpm; }

# Everything is listed with its checksum, and says which revision it is.
check_archives() {
    (cd $DIST && sha256sum --check --quiet --strict SHA256SUMS) || fail "the checksums are others"
    local unlisted
    unlisted=$(cd $DIST && comm -23 <(ls | grep -v SHA256SUMS) <(sed 's/^[^ ]*  //' SHA256SUMS | sort))
    [[ -z $unlisted ]] || fail "without a checksum: $unlisted"
    local revision
    revision=$(tar -xOzf "$DIST"/inferometer-*-"$(uname -m)"-linux.tar.gz --wildcards '*/doc/inferometer/BUILD' | sed -n 's/^revision //p')
    [[ -n $revision && $revision != unknown ]] || fail "the archive does not say which revision it is"
    for package in inferometer inferometer-helper; do
        dpkg-deb --fsys-tarfile "$(deb $package)" | tar -xO "./usr/share/doc/$package/BUILD" | grep -q "revision $revision" ||
            fail "$package.deb is not of revision $revision"
        python3 - "$DIST"/$package-[0-9]*.cdx.json <<<'
import json, sys
bill = json.load(open(sys.argv[1]))
assert bill["bomFormat"] == "CycloneDX" and bill["components"], "no bill of materials"
without = [it["name"] for it in bill["components"] if not it.get("licenses")]
assert not without, f"without a licence: {without}"
parts, name = len(bill["components"]), bill["metadata"]["component"]["name"]
print(f"bill:        {parts} parts of {name}, each with its licence")'
    done
    say archives "$(wc -l <$DIST/SHA256SUMS) files with checksums, of revision $revision"
}

check_debian_packages() {
    local package said
    for package in inferometer inferometer-helper; do
        said=$(lintian --allow-root --fail-on none "$(deb $package)" 2>&1 | grep -v '^N:' || true)
        ! grep -E '^[EW]:' <<<"$said" || fail "lintian has errors or warnings in $package"
        say lintian "$package: $(grep -c . <<<"$said" || true) hints, no error, no warning"
    done
}

check_rpm_packages() {
    local package
    for package in inferometer inferometer-helper; do
        rpm -qp --qf '%{NAME} %{VERSION} %{ARCH}: %{LICENSE}, %{SUMMARY}\n' "$(rpm_of $package)" | sed 's/^/rpm:         /'
        rpm -qpl "$(rpm_of $package)" >$WORK/listed
        grep -qx "/usr/bin/$package" $WORK/listed && grep -qx "/usr/lib/systemd/system/$package.service" $WORK/listed ||
            fail "$package.rpm lacks its program or its unit"
        rpm -qp --scripts "$(rpm_of $package)" | grep -q "preset $package.service" || fail "$package.rpm has no scripts"
        ! rpm -qp --scripts "$(rpm_of $package)" | grep -q UNIT || fail "$package.rpm has a script that names no unit"
        say rpm "$package: $(wc -l <$WORK/listed) files and folders, requires $(rpm -qpR "$(rpm_of $package)" | grep -v rpmlib | xargs)"
    done
    [[ $(rpm -qp --configfiles "$(rpm_of inferometer)") == /etc/inferometer/config.toml ]] || fail "the rpm's configuration is none"
}

# As they are installed, with the programs in their places.
check_units() {
    local package score root=$WORK/unpacked
    rm -rf $root
    mkdir -p $root
    for package in inferometer inferometer-helper; do
        dpkg-deb --extract "$(deb $package)" $root
        sed "s|/usr/bin/$package|$PWD/$root&|" $root/usr/lib/systemd/system/$package.service >$WORK/$package.service
        systemd-analyze verify --man=no $WORK/$package.service || fail "systemd does not accept $package.service"
        score=$(systemd-analyze security --offline=true --no-pager $WORK/$package.service | sed -n 's/.*exposure level for [^:]*: \([0-9.]*\).*/\1/p')
        awk -v score="$score" 'BEGIN { exit !(score <= 2.0) }' || fail "$package.service is exposed: $score"
        say unit "$package: systemd accepts it, exposure $score of 10 (2.0 at most)"
    done
}

check_completions() {
    local share=$PWD/$WORK/unpacked/usr/share
    bash -euc ". $share/bash-completion/completions/inferometer; complete -p inferometer" >/dev/null || fail "bash does not complete"
    zsh -fc "fpath=($share/zsh/vendor-completions \$fpath); autoload -Uz compinit; compinit -D -d $WORK/zcompdump; [[ \$_comps[inferometer] == _inferometer ]] && autoload +X _inferometer" ||
        fail "zsh does not complete"
    fish --no-config -c "source $share/fish/vendor_completions.d/inferometer.fish; complete -C 'inferometer --admin-'" | grep -q admin-listen ||
        fail "fish does not complete"
    say completions "bash $(bash --version | grep -om1 '[0-9.]*' | head -1), $(zsh --version | cut -d' ' -f1-2), fish $(fish --version | grep -o '[0-9.]*$')"
    for page in "$share"/man/man?/*.gz; do
        [[ $(zcat "$page" | head -20) == *'.TH '* ]] || fail "$page is no manual page"
    done
}

check_container_file() {
    target/packaging-venv/bin/hadolint --failure-threshold info examples/container/Dockerfile || fail "hadolint refuses the container file"
    say container "hadolint has nothing to say"
}

# The programs for arm64, where this machine is not one.
check_other_processor() {
    local archive=("$DIST"/inferometer-*-aarch64-linux.tar.gz) root=$WORK/arm64
    [[ -e ${archive[0]} && $(uname -m) != aarch64 ]] || return 0
    command -v qemu-aarch64-static >/dev/null || { say arm64 "not run, there is no qemu-aarch64-static"; return 0; }
    rm -rf $root
    mkdir -p $root
    # The C library for that processor.
    tests/tools/unpack.sh --architecture arm64 $root libc6
    tar -xzf "${archive[0]}" -C $root --strip-components 1
    say arm64 "$(qemu-aarch64-static -L $root $root/usr/bin/inferometer --version), $(qemu-aarch64-static -L $root $root/usr/bin/inferometer-helper --version)"
    qemu-aarch64-static -L $root $root/usr/bin/inferometer --config $root/etc/inferometer/config.toml --check-config >/dev/null ||
        fail "the program for arm64 does not read its configuration"
}
