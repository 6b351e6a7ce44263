#!/usr/bin/env bash
# Makes what people download, in target/dist: for each platform a .deb and an .rpm of the proxy and of the helper, a
# .tar.gz of both, and one of their debug information; then the bill of materials and the checksums of all.
# Usage: dist.sh PLATFORM...   where a platform is a target of Rust's, for Linux with glibc
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The oldest C library that the programs run with (Debian 10, Ubuntu 20.04, RHEL 8). Not musl: NVIDIA's library is
# loaded at run time, which a static program cannot do.
GLIBC=2.28
PROGRAMS=(inferometer inferometer-helper)
# Where the package of each has its manifest.
declare -A FOLDER=([inferometer]=. [inferometer-helper]=helper)
DIST=target/dist
TREE=target/tree
DEBUG=target/tree/debug
HOST=$(rustc -vV | sed -n 's/^host: //p')
export PATH="$PWD/target/packaging-venv/bin:$PWD/target/tools/bin:$PATH"

VERSION=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"/\1/p' Cargo.toml)
# As given, where the sources were unpacked without their repository.
: "${INFEROMETER_REVISION:=$(git describe --always --abbrev=12 --exclude '*' --dirty 2>/dev/null)}"
[[ $INFEROMETER_REVISION ]] || { echo "which revision is this? Say it in INFEROMETER_REVISION: git does not know" >&2; exit 1; }
# The same sources give the same archives, whenever they are packed.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || date +%s)
export INFEROMETER_REVISION SOURCE_DATE_EPOCH

build() {
    local platform=$1
    rustup target list --installed 2>/dev/null | grep -qx "$platform" || rustup target add "$platform"
    # Messages name source files without the folders of whoever built them.
    local flags="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=registry"$'\x1f'"--remap-path-prefix=$PWD=inferometer"
    CARGO_ENCODED_RUSTFLAGS=$flags cargo zigbuild --release --locked --target "$platform.$GLIBC" \
        --package inferometer --package inferometer-helper --bins
}

# LLVM's, which comes with Rust and knows every processor.
objcopy() {
    local rust
    rust=$(rustc --print sysroot)
    LD_LIBRARY_PATH=$rust/lib "$rust/lib/rustlib/$HOST/bin/rust-objcopy" "$@"
}

# The files of a package as they will lie in the file system, in $TREE/PROGRAM, and its debug information beside them.
lay_out() {
    local program=$1 platform=$2
    local tree=$TREE/$program built=target/$platform/release/$program debug=$DEBUG/$program.debug
    local doc=$tree/usr/share/doc/$program

    install -d "$tree/usr/bin" "$tree/usr/lib/systemd/system" "$doc" $DEBUG
    objcopy --only-keep-debug --compress-debug-sections=zlib "$built" "$debug"
    objcopy --strip-all --add-gnu-debuglink="$debug" "$built" "$tree/usr/bin/$program"
    sed 's|/usr/local/bin/|/usr/bin/|' "examples/systemd/$program.service" >"$tree/usr/lib/systemd/system/$program.service"

    gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
    install -D -m 644 packaging/debian/lintian-overrides "$tree/usr/share/lintian/overrides/$program"
    packaging/third_party.py "$program" "$platform" >"$doc/THIRD-PARTY.txt"
    printf '%s\n' "$program $VERSION" "revision $INFEROMETER_REVISION" "platform $platform, glibc $GLIBC or newer" \
        "compiler $(rustc --version)" >"$doc/BUILD"
    printf '%s\n' "$program ($VERSION-1) stable; urgency=medium" '' "  * What changed: changelog.gz, in this folder." '' \
        " -- $(sed -n 's/^maintainer = "\(.*\)"/\1/p' Cargo.toml)  $(date -uRd "@$SOURCE_DATE_EPOCH")" >"$TREE/$program.changelog"
}

# What a program says of itself, the same on every platform: the one that runs here is asked.
add_texts() {
    local program=$1 share=$TREE/$1/usr/share asked=target/$HOST/release/$1
    install -d "$share/man/man1"
    "$asked" man | gzip -9n >"$share/man/man1/$program.1.gz"
    [[ $program == inferometer ]] || return 0
    install -d "$share"/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d} "$TREE/$program/etc/$program"
    "$asked" completions bash >"$share/bash-completion/completions/$program"
    "$asked" completions zsh >"$share/zsh/vendor-completions/_$program"
    "$asked" completions fish >"$share/fish/vendor_completions.d/$program.fish"
    env -i "$asked" --print-config | packaging/conffile.sh >"$TREE/$program/etc/$program/config.toml"
}

# What the proxy's package has for others: alerts, dashboards and pages.
add_shared() {
    local share=$TREE/inferometer/usr/share
    install -d $share/inferometer/grafana
    cp -r prometheus $share/inferometer/
    rm -r $share/inferometer/prometheus/tests
    cp -r grafana/{README.md,dashboards,provisioning} $share/inferometer/grafana/
    cp -r README.md docs $share/doc/inferometer/
}

pack() {
    local platform=$1 folder=inferometer-$VERSION-${1%%-*}-linux program
    for program in "${PROGRAMS[@]}"; do
        cargo deb --quiet --no-build --no-strip --locked --target "$platform" --output $DIST --package "$program"
    done
    # What only Debian reads, and where Fedora's zsh looks.
    rm -r $TREE/*/usr/share/lintian
    mv $TREE/inferometer/usr/share/zsh/{vendor-completions,site-functions}
    for program in "${PROGRAMS[@]}"; do
        install -m 644 LICENSE-MIT LICENSE-APACHE "$TREE/$program/usr/share/doc/$program/"
        packaging/rpm/metadata.py "$program" "$TREE/$program" >"$TREE/$program.toml"
        cargo generate-rpm --package "${FOLDER[$program]}" --target "$platform" --auto-req no \
            --metadata-overwrite "$TREE/$program.toml" --output $DIST
    done
    archive "$folder" $TREE/inferometer $TREE/inferometer-helper
    archive "$folder-debug" $DEBUG
}

# What these folders hold, as an archive that unpacks into a folder of its own name.
archive() {
    local name=$1
    shift
    rm -rf "$TREE/archive"
    mkdir "$TREE/archive"
    cp -r "${@/%//.}" "$TREE/archive/"
    tar --create --gzip --file "$DIST/$name.tar.gz" --directory "$TREE/archive" --transform "s|^\.|$name|" \
        --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" .
}

bill_of_materials() {
    cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$1" --override-filename bill
    mv bill.json "$DIST/inferometer-$VERSION.cdx.json"
    mv helper/bill.json "$DIST/inferometer-helper-$VERSION.cdx.json"
    rm -f benches/bill.json
}

rm -rf $DIST
mkdir -p $DIST
# The first is asked for its texts.
for platform in $(printf '%s\n' "$HOST" "$@" | awk '!seen[$0]++'); do
    build "$platform"
done
for platform; do
    rm -rf $TREE
    for program in "${PROGRAMS[@]}"; do
        packaging/needed.sh $GLIBC "target/$platform/release/$program"
        lay_out "$program" "$platform"
        add_texts "$program"
    done
    add_shared
    chmod -R u=rwX,go=rX $TREE
    pack "$platform"
done
bill_of_materials "$1"
(cd $DIST && sha256sum -- * >SHA256SUMS)
echo "inferometer $VERSION, revision $INFEROMETER_REVISION, in $DIST:"
(cd $DIST && du --apparent-size -h -- *)
