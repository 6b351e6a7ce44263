#!/bin/sh
# Makes the packages' configuration file of what `inferometer --print-config` prints: the same, with no key set, so that
# one which nobody has changed has the default of the version that runs.
exec sed -E '1s/.*/# The settings, each with its default. To change one, remove the # before its key./; s/^([a-z_0-9]+ = )/#\1/'
