# The dashboard's page: built with Node where there is one, into web/dist, and tested in a browser.
WEB_SOURCES := $(wildcard web/*.json web/*.mjs web/*.html) $(shell find web/src web/test -type f 2>/dev/null)
PAGE_VENV := target/page-venv

.PHONY: web web-test page-test page-pictures
web: web/dist/index.html ## the dashboard's page, which a build then has in it (needs Node.js 18 or newer, or Python)

# Where it could not be built it is not there, and is tried again.
web/dist/index.html: $(WEB_SOURCES)
	@tests/tools/web.sh

web-test: ## type check, unit tests and build of the page, where Node.js is on this machine
	@tests/tools/web.sh --system --test

# Not a part of `test`: it needs chromium.
page-test: web compiler $(PAGE_VENV)/stamp ## the page in a real browser: every screen and state, its figures, accessibility (needs chromium)
	cargo build --locked --bins --examples
	@$(PAGE_VENV)/bin/python tests/tools/page/run.py $(ARGS)

# Twenty minutes of traffic, so that the charts have something to show.
page-pictures: web compiler $(PAGE_VENV)/stamp ## draw the pictures of the page in the README (ARGS='--minutes 5': of less traffic)
	cargo build --locked --bins --examples
	@$(PAGE_VENV)/bin/python tests/tools/page/pictures.py docs/pictures $(ARGS)

$(PAGE_VENV)/stamp: tests/tools/page/requirements.txt
	rm -rf $(PAGE_VENV)
	python3 -m venv $(PAGE_VENV)
	$(PAGE_VENV)/bin/pip install --quiet --no-input --disable-pip-version-check --only-binary :all: --requirement $<
	touch $@
