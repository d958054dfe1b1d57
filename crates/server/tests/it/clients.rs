//! Unchanged client libraries against the program.

use crate::process::{Gateway, Place, run_within, tool};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

testkit::on_both_engines! {
    async fn the_stripe_library_for_python(db) {
        let python = tool("PAYMENTGATE_PYTHON");
        let gateway = Gateway::start(&Place::of(&db));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/python/stripe_client.py");
        for base in [format!("http://{}/stripe", gateway.api), format!("http://{}", gateway.stripe)] {
            let mut command = Command::new(&python);
            command.arg(&script).args(["--base", &base, "--key", &gateway.key]);
            command.args(["--public", &format!("http://{}", gateway.public)]);
            // The whole of it once; on the second listener what shows that it is the same API.
            if base.ends_with(&gateway.stripe.to_string()) {
                command.args(["Payments", "Refunds"]);
            }
            let (status, said) = run_within(command, Duration::from_secs(180));
            assert!(status.is_some_and(|status| status.success()), "{base}: {status:?}\n{said}");
            assert!(said.contains(" run, 0 failed"), "{said}");
        }
        gateway.stop();
    }
}
