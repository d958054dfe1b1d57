//! Running other programs: PATH look-up, Cargo with a clean environment, exit codes.

use std::env;
use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// Prints one line of progress. It goes to standard error, so that standard output stays usable by scripts.
pub fn say(line: &str) {
    eprintln!("xtask: {line}");
}

/// The root of the workspace.
///
/// Cargo's run-time value comes first: the compiled-in one is wrong once the checkout has been moved.
pub fn workspace_root() -> Result<PathBuf> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let manifest = PathBuf::from(manifest);
    manifest
        .ancestors()
        .nth(2)
        .map(Path::to_path_buf)
        .with_context(|| format!("{} is not two folders below the workspace root", manifest.display()))
}

/// Cargo's target directory, found from this program's own place in it (`<target>/<profile>/xtask`),
/// so that `CARGO_TARGET_DIR` and `build.target-dir` are followed.
pub fn target_dir() -> Result<PathBuf> {
    let exe = env::current_exe().context("cannot tell where this program lies")?;
    let target = exe.ancestors().nth(2).context("this program does not lie in a target directory")?;
    Ok(target.to_path_buf())
}

/// The first executable file called `name` on PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|file| is_executable(file))
}

/// Whether `file` is a regular file that somebody may execute.
pub fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// A Cargo command in the workspace root.
///
/// `cargo run` describes this package in the environment (`CARGO_PKG_*`, `CARGO_MANIFEST_*`). Build scripts
/// which watch those variables would see other values than under a plain `cargo build`, and be built again
/// each time.
pub fn cargo() -> Result<Command> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    clean_cargo_environment(&mut command);
    command.current_dir(workspace_root()?);
    Ok(command)
}

fn clean_cargo_environment(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
}

/// Lets the kernel send SIGTERM to `command` when this process ends, however it ends: a test run must not
/// go on without the database that is about to be removed. Without `setpriv` the command stays as it is.
pub fn end_with_us(command: Command) -> Command {
    const DEATH_SIGNAL: [&str; 2] = ["--pdeathsig", "TERM"];
    if !succeeds(Command::new("setpriv").args(DEATH_SIGNAL).arg("true")) {
        return command;
    }
    let mut wrapped = Command::new("setpriv");
    wrapped.args(DEATH_SIGNAL).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        wrapped.current_dir(dir);
    }
    wrapped
}

/// Whether the command can be started and exits with 0. Its output is dropped.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs the command, its output going where ours goes.
///
/// # Errors
/// When it cannot be started or exits with anything but 0.
pub fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` failed: {status}", render(command));
    }
    Ok(())
}

/// Runs the command and says how it ended.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("cannot start `{}`", render(command)))
}

/// The first line that the command prints, without surrounding space.
pub fn first_line(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start `{}`", render(command)))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", render(command), String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Our own exit code for a child that ended so; 128 + n for a signal, as shells have it.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// The command line as one would type it.
pub fn render(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
