//! The process of the privileged helper; see its library.

use std::process::ExitCode;

fn main() -> ExitCode {
    inferometer_helper::main(std::env::args().skip(1))
}
