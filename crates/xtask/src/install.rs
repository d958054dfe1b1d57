//! Finding the programs that the tests need, and installing the missing ones with Debian's and Python's
//! own package managers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::postgres;
use crate::process::{
    first_line, is_executable, on_path, render, run, say, succeeds, target_dir, workspace_root,
};

/// Where everything is that a test may need besides Rust.
pub struct Tools {
    /// Directory of `initdb` and `postgres`.
    pub postgres: PathBuf,
    pub chromium: PathBuf,
    /// Of the same version as Chromium, which it drives.
    pub chromedriver: PathBuf,
    /// Python of the virtual environment that holds the packages of `tests/clients/python/requirements.txt`.
    pub python: PathBuf,
    pub php: PathBuf,
    /// The library that shows a program another time.
    pub faketime: PathBuf,
    pub node: PathBuf,
    /// Folder of the packages that `tests/browser/package-lock.json` names.
    pub node_modules: PathBuf,
}

impl Tools {
    /// Finds all tools, first installing those that are missing when `install` is set.
    ///
    /// # Errors
    /// When one is missing and may not or cannot be installed; the error names it and what to do.
    pub fn ensure(install: bool) -> Result<Self> {
        ensure_packages(&[POSTGRES, CHROMIUM, CHROMEDRIVER, PYTHON, PHP, FAKETIME, NODE], install)?;
        Ok(Self {
            postgres: postgres::find_programs().context(POSTGRES.missing())?,
            chromium: find_chromium().context(CHROMIUM.missing())?,
            chromedriver: find_chromedriver().context(CHROMEDRIVER.missing())?,
            python: ensure_clients(install)?,
            php: find_php().context(PHP.missing())?,
            faketime: find_faketime().context(FAKETIME.missing())?,
            node: find_node().context(NODE.missing())?,
            node_modules: ensure_browser_checks(install)?,
        })
    }
}

/// The directory of the PostgreSQL server programs, installed if need be.
pub fn ensure_postgres() -> Result<PathBuf> {
    ensure_packages(&[POSTGRES], true)?;
    postgres::find_programs().context(POSTGRES.missing())
}

/// Something that Debian packages provide.
#[derive(Clone, Copy)]
struct Requirement {
    what: &'static str,
    packages: &'static [&'static str],
    present: fn() -> bool,
}

const POSTGRES: Requirement = Requirement {
    what: "the PostgreSQL server programs (initdb, postgres)",
    packages: &["postgresql"],
    present: || postgres::find_programs().is_some(),
};
const CHROMIUM: Requirement = Requirement {
    what: "Chromium (chromium on PATH, or PAYMENTGATE_CHROMIUM)",
    packages: &["chromium"],
    present: || find_chromium().is_some(),
};
const CHROMEDRIVER: Requirement = Requirement {
    what: "ChromeDriver of Chromium's version (chromedriver on PATH, or PAYMENTGATE_CHROMEDRIVER)",
    packages: &["chromium-driver"],
    present: || find_chromedriver().is_some(),
};
const PYTHON: Requirement = Requirement {
    what: "Python 3.9 or newer with venv and pip (python3 on PATH)",
    packages: &["python3", "python3-venv"],
    present: || find_python().is_some(),
};
const PHP: Requirement = Requirement {
    what: "PHP 7.3 or newer for the command line (php on PATH, or PAYMENTGATE_PHP)",
    packages: &["php-cli"],
    present: || find_php().is_some(),
};

const FAKETIME: Requirement = Requirement {
    what: "libfaketime (libfaketimeMT.so.1 in the system's library folder, or PAYMENTGATE_FAKETIME)",
    packages: &["libfaketime"],
    present: || find_faketime().is_some(),
};

const NODE: Requirement = Requirement {
    what: "Node.js 18 or newer with npm (node and npm on PATH)",
    packages: &["nodejs", "npm"],
    present: || find_node().is_some() && on_path("npm").is_some(),
};

impl Requirement {
    fn missing(&self) -> String {
        format!("{} not found; on Debian: apt-get install {}", self.what, self.packages.join(" "))
    }
}

fn ensure_packages(requirements: &[Requirement], install: bool) -> Result<()> {
    let missing: Vec<&Requirement> = requirements.iter().filter(|one| !(one.present)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|one| one.packages).copied().collect();
    if !install {
        let list: Vec<String> = missing.iter().map(|one| one.missing()).collect();
        bail!("{}\n(or run `cargo xtask test` without --no-install)", list.join("\n"));
    }
    for one in &missing {
        say(&format!("missing: {}", one.what));
    }
    apt_get(&["update"])?;
    apt_get(&[&["install", "-y"], packages.as_slice()].concat())
}

fn apt_get(args: &[&str]) -> Result<()> {
    if on_path("apt-get").is_none() {
        bail!("there is no apt-get here; install by hand what is named above, then run this again");
    }
    let root = first_line(Command::new("id").arg("-u"))? == "0";
    if !root && on_path("sudo").is_none() {
        bail!("neither root nor sudo; as root: apt-get {}", args.join(" "));
    }
    let mut command = if root { Command::new("env") } else { Command::new("sudo") };
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(args);
    say(&format!("running {}", render(&command)));
    run(&mut command)
}

fn find_chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    named_by("PAYMENTGATE_CHROMIUM").or_else(|| names.into_iter().find_map(on_path))
}

fn find_chromedriver() -> Option<PathBuf> {
    named_by("PAYMENTGATE_CHROMEDRIVER").or_else(|| on_path("chromedriver"))
}

/// A PHP with 64-bit integers and the functions that the client of `tests/clients/php` uses.
fn find_php() -> Option<PathBuf> {
    const CHECK: &str =
        "exit((int) (PHP_VERSION_ID < 70300 || PHP_INT_SIZE < 8 || !function_exists('json_decode')));";
    let candidates = named_by("PAYMENTGATE_PHP").into_iter().chain(on_path("php"));
    candidates.into_iter().find(|php| succeeds(Command::new(php).args(["-r", CHECK])))
}

/// Debian keeps it in the library folder of the machine's architecture.
fn find_faketime() -> Option<PathBuf> {
    let named = env::var_os("PAYMENTGATE_FAKETIME").map(PathBuf::from).filter(|file| file.is_file());
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut libraries = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    named.or_else(|| libraries.find(|file| file.is_file()))
}

/// The program that the environment names, if it is one.
fn named_by(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|file| is_executable(file))
}

/// A Python that can make virtual environments. Debian ships `ensurepip` in `python3-venv` alone; a Python
/// that comes first on PATH may lack it while Debian's own has it.
fn find_python() -> Option<PathBuf> {
    const CHECK: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))";
    let candidates = on_path("python3").into_iter().chain([PathBuf::from("/usr/bin/python3")]);
    candidates.into_iter().find(|python| succeeds(Command::new(python).args(["-c", CHECK])))
}

/// The virtual environment with the client libraries, made anew when it is missing, broken, or of another
/// list of packages.
fn ensure_clients(install: bool) -> Result<PathBuf> {
    let requirements = workspace_root()?.join("tests/clients/python/requirements.txt");
    let wanted = fs::read_to_string(&requirements).with_context(|| requirements.display().to_string())?;
    let dir = target_dir()?.join("clients/python");
    let python = dir.join("bin/python");
    // Written last, so that an installation which was cut short is not taken for a whole one.
    let stamp = dir.join("installed.txt");

    let current = fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted);
    if current && succeeds(Command::new(&python).args(["-c", "import stripe"])) {
        return Ok(python);
    }
    if !install {
        bail!("the Python packages of {} are not installed; run `cargo xtask test`", requirements.display());
    }
    say(&format!("making {} with {}", dir.display(), wanted.lines().collect::<Vec<_>>().join(", ")));
    make_environment(&dir, &requirements)?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

fn make_environment(dir: &Path, requirements: &Path) -> Result<()> {
    let system_python = find_python().context(PYTHON.missing())?;
    run(Command::new(system_python).args(["-m", "venv", "--clear"]).arg(dir))?;
    run(Command::new(dir.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(requirements))
}

fn find_node() -> Option<PathBuf> {
    const CHECK: &str = "process.exit(Number(process.versions.node.split('.')[0]) < 18 ? 1 : 0)";
    on_path("node").filter(|node| succeeds(Command::new(node).args(["-e", CHECK])))
}

/// The packages of the browser checks, installed anew when the list of them is another.
fn ensure_browser_checks(install: bool) -> Result<PathBuf> {
    let source = workspace_root()?.join("tests/browser");
    let dir = target_dir()?.join("browser");
    let modules = dir.join("node_modules");
    // Written last, so that an installation which was cut short is not taken for a whole one.
    let stamp = dir.join("installed.json");

    let lock = source.join("package-lock.json");
    let wanted = fs::read_to_string(&lock).with_context(|| lock.display().to_string())?;
    if modules.is_dir() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(modules);
    }
    if !install {
        bail!("the Node packages of {} are not installed; run `cargo xtask test`", lock.display());
    }
    say(&format!("making {}", modules.display()));
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(source.join(name), dir.join(name)).with_context(|| format!("cannot copy {name}"))?;
    }
    let npm = on_path("npm").context(NODE.missing())?;
    run(Command::new(npm).current_dir(&dir).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(modules)
}
