# What people download: programs, packages, checksums, licences and bill of materials, in target/dist. Not a part of `test`: minutes of
# compiling for each platform, and tools that are installed first, into target.
PLATFORMS ?= x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu
PACKAGE_TOOLS := $(addprefix target/tools/bin/cargo-,deb generate-rpm cyclonedx)
PACKAGING_VENV := target/packaging-venv

.PHONY: dist dist-mac package-test
dist: compiler web $(PACKAGE_TOOLS) $(PACKAGING_VENV)/stamp ## programs and packages for Linux, in target/dist (PLATFORMS='x86_64-unknown-linux-gnu': only those)
	@packaging/dist.sh $(PLATFORMS)

# Linking needs Apple's SDK, which is not to be given on.
dist-mac: compiler $(PACKAGING_VENV)/stamp ## see whether it compiles for macOS on arm64 (cargo check; links nothing)
	rustup target add aarch64-apple-darwin
	PATH=$(CURDIR)/$(PACKAGING_VENV)/bin:$$PATH cargo-zigbuild check --locked --workspace --bins --target aarch64-apple-darwin

# As root, on Debian: it boots a fresh system in a container, with a systemd of its own.
package-test: dist ## install, use, upgrade and remove the packages in a fresh Debian (needs root)
	@packaging/test/run.sh

target/tools/bin/cargo-deb: TOOL := cargo-deb --version 3.8.0
target/tools/bin/cargo-generate-rpm: TOOL := cargo-generate-rpm --version 0.21.1
target/tools/bin/cargo-cyclonedx: TOOL := cargo-cyclonedx --version 0.5.9
$(PACKAGE_TOOLS): | cargo
	@test -x $@ || cargo install $(TOOL) --locked --root target/tools

$(PACKAGING_VENV)/stamp: packaging/requirements.txt
	rm -rf $(PACKAGING_VENV)
	python3 -m venv $(PACKAGING_VENV)
	$(PACKAGING_VENV)/bin/pip install --quiet --no-input --disable-pip-version-check --only-binary :all: --requirement $<
	touch $@
