//! The process: parse, build, run, exit code.

fn main() {}
