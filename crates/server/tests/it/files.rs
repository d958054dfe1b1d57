//! What lies on the disk, and for whom.

use crate::process::{Gateway, PATIENCE, Place, program, run_within};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use testkit::{Db, Kind};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).permissions().mode()
        & 0o7777
}

fn place(db: &Db) -> Place {
    let data_dir = db.dir().join("data");
    Place { database: data_dir.join("paymentgate.db").display().to_string(), data_dir }
}

#[tokio::test]
async fn data_is_for_its_owner_alone() {
    let db = Db::new(Kind::Sqlite).await;
    let place = place(&db);
    // A generous umask must not matter.
    let gateway = Gateway::start_with(
        &place,
        &crate::process::Start {
            wrapper: &["sh", "-c", r#"umask 000; exec "$0" "$@""#],
            ..Default::default()
        },
    );
    gateway.client().pay().expect(201);
    assert_eq!(mode(&place.data_dir), 0o700);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&place.data_dir).expect("a folder") {
        let entry = entry.expect("an entry");
        assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
        names.push(entry.file_name().into_string().expect("a name"));
    }
    for name in
        ["paymentgate.db", "paymentgate.db-wal", "paymentgate.db.lock", "sealing.key", "demo-keys.txt"]
    {
        assert!(names.iter().any(|n| n == name), "{name} is not among {names:?}");
    }
    gateway.stop();
}

#[tokio::test]
async fn no_key_is_kept_in_clear() {
    let db = Db::new(Kind::Sqlite).await;
    let place = place(&db);
    let gateway = Gateway::start(&place);
    let form = [("url", "https://shop.example/hook"), ("enabled_events[]", "*")];
    let endpoint = gateway.client().post("/v2/webhook_endpoints", &form).expect(201);
    let secret = endpoint["secret"].as_str().expect("a secret").to_owned();
    let wrong = crate::wire::Client::new(gateway.api, "sk_test_canary0123456789abcdefgh");
    assert_eq!(wrong.get("/v2/balance").status, 401);
    let paid = gateway.client().pay().expect(201);
    let capability =
        paid["client_secret"].as_str().and_then(|s| s.rsplit('_').next()).expect("a secret").to_owned();
    let (key, log) = (gateway.key.clone(), gateway.log());
    gateway.kill();
    let sealed = [&key, &secret];
    let never_logged = [&key, &secret, &capability, &"canary0123456789".to_owned()];
    for word in never_logged {
        assert!(!log.contains(word.as_str()), "the log holds {word}");
    }
    for name in ["paymentgate.db", "paymentgate.db-wal"] {
        let bytes = std::fs::read(place.data_dir.join(name)).expect("a file");
        for word in sealed {
            assert!(!bytes.windows(word.len()).any(|part| part == word.as_bytes()), "{name} holds {word}");
        }
    }
}

#[tokio::test]
async fn a_second_gateway_is_kept_out_of_the_same_database() {
    let db = Db::new(Kind::Sqlite).await;
    let place = place(&db);
    let gateway = Gateway::start(&place);
    let mut second = program();
    second.args(["serve", "--database", &place.database, "--data-dir"]).arg(&place.data_dir);
    for name in ["api", "admin", "public"] {
        second.args([&format!("--{name}-listen"), "127.0.0.1:0"]);
    }
    let (status, said) = run_within(second, PATIENCE);
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{said}");
    assert!(said.contains("another gateway is serving") && said.contains("--data-dir"), "{said}");
    gateway.client().pay().expect(201);
    // The lock ends with its holder, however that ends.
    gateway.kill();
    Gateway::start(&place).stop();
}

#[tokio::test]
async fn files_that_others_may_touch_are_refused() {
    let db = Db::new(Kind::Sqlite).await;
    let place = place(&db);
    Gateway::start(&place).stop();
    let start = || {
        let mut command = program();
        command.args([
            "serve",
            "--api-listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
            "--public-listen",
            "127.0.0.1:0",
        ]);
        command.arg("--data-dir").arg(&place.data_dir);
        run_within(command, PATIENCE)
    };
    let key = place.data_dir.join("sealing.key");
    for (path, bad, good) in [(&key, 0o644, 0o600), (&place.data_dir, 0o777, 0o700)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(bad)).expect("set");
        let (status, said) = start();
        assert_eq!(status.and_then(|status| status.code()), Some(1), "{said}");
        assert!(said.contains("chmod"), "{said}");
        std::fs::set_permissions(path, PermissionsExt::from_mode(good)).expect("set");
    }
    // A lost key is not replaced by a new one that opens nothing.
    std::fs::remove_file(&key).expect("removed");
    let (status, said) = start();
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{said}");
    assert!(said.contains("sealing key") && said.contains("backup"), "{said}");
    assert!(!key.exists(), "a new key was made");
}
