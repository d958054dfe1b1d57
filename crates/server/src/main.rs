//! `paymentgate`: the gateway and its operator's commands.

fn main() -> std::process::ExitCode {
    server::cli::run()
}
