use crate::support::{REQUEST, audited, global_admin, log_in, refusal};
use domain::audit::AuditKind;
use domain::limits::PASSKEYS;
use domain::passkey::Passkey;
use domain::session::{SessionCaller, SignInRefusal};
use engine::Error;
use testkit::{Authenticator, TestApp};

const ADA: &str = "ada@example.com";

/// Adds a passkey, or not.
async fn add(
    app: &TestApp,
    caller: &SessionCaller,
    authenticator: &mut Authenticator,
) -> Result<Passkey, Error> {
    let challenge = app.engine.begin_passkey(caller).await?;
    let answer = authenticator.create(&challenge);
    let code = challenge["ceremonyId"].as_str().expect("an id");
    app.engine.complete_passkey(caller, code, &answer, " Key ring ", REQUEST).await
}

testkit::on_both_engines! {
    async fn passkeys_are_added_renamed_and_removed_but_not_the_last(db) {
        let app = TestApp::start(&db).await;
        let (mut first, signed_in) = global_admin(&app, ADA).await;
        let caller = &signed_in.caller;
        let only = app.engine.passkeys(caller.user).await.expect("listed")[0].id;
        assert_eq!(refusal(app.engine.remove_passkey(caller, only, REQUEST).await), SignInRefusal::LastPasskey);
        let mut second = Authenticator::default();
        let added = add(&app, caller, &mut second).await.expect("added");
        assert_eq!(added.label, "Key ring");
        log_in(&app, ADA, &mut second).await.expect("the new one signs in");
        assert_eq!(app.engine.rename_passkey(caller, added.id, "Safe").await.expect("renamed").label, "Safe");
        for bad in ["", " ", "a\u{202e}b", &"x".repeat(101)] {
            assert!(matches!(app.engine.rename_passkey(caller, added.id, bad).await, Err(Error::Invalid { .. })), "{bad:?}");
        }
        app.engine.remove_passkey(caller, only, REQUEST).await.expect("removed");
        assert_eq!(refusal(log_in(&app, ADA, &mut first).await), SignInRefusal::PasskeyRefused);
        assert_eq!(refusal(app.engine.remove_passkey(caller, added.id, REQUEST).await), SignInRefusal::LastPasskey);
        assert!(matches!(app.engine.remove_passkey(caller, only, REQUEST).await, Err(Error::NotFound { .. })));
        assert_eq!((audited(&app, AuditKind::PasskeyAdded).await, audited(&app, AuditKind::PasskeyRemoved).await), (2, 1));
    }

    async fn of_two_removals_of_the_last_two_one_is_refused(db) {
        let app = TestApp::start(&db).await;
        let (_, signed_in) = global_admin(&app, ADA).await;
        add(&app, &signed_in.caller, &mut Authenticator::default()).await.expect("added");
        let all = app.engine.passkeys(signed_in.caller.user).await.expect("listed");
        let tries: Vec<_> = all.iter().map(|p| p.id).map(|id| {
            let (engine, caller) = (app.engine.clone(), signed_in.caller.clone());
            tokio::spawn(async move { engine.remove_passkey(&caller, id, REQUEST).await })
        }).collect();
        let mut removed = 0;
        for one in tries {
            match one.await.expect("joined") {
                Ok(()) => removed += 1,
                refused => assert_eq!(refusal(refused), SignInRefusal::LastPasskey),
            }
        }
        assert_eq!((removed, app.engine.passkeys(signed_in.caller.user).await.expect("listed").len()), (1, 1));
    }

    async fn a_passkey_belongs_to_one_person(db) {
        let app = TestApp::start(&db).await;
        let (adas, ada) = global_admin(&app, ADA).await;
        let (_, bob) = global_admin(&app, "bob@example.com").await;
        let mut stolen = Authenticator { credential_id: adas.credential_id.clone(), ..Authenticator::default() };
        assert_eq!(refusal(add(&app, &bob.caller, &mut stolen).await), SignInRefusal::PasskeyTaken);
        // One's own is asked about, and refused by honest authenticators and by us.
        let challenge = app.engine.begin_passkey(&ada.caller).await.expect("begun");
        assert_eq!(challenge["publicKey"]["excludeCredentials"].as_array().map(Vec::len), Some(1));
        let answer = adas.clone().create(&challenge);
        let code = challenge["ceremonyId"].as_str().expect("an id");
        assert!(app.engine.complete_passkey(&ada.caller, code, &answer, "", REQUEST).await.is_err());
        let theirs = app.engine.passkeys(ada.caller.user).await.expect("listed")[0].id;
        add(&app, &bob.caller, &mut Authenticator::default()).await.expect("added");
        assert!(matches!(app.engine.remove_passkey(&bob.caller, theirs, REQUEST).await, Err(Error::NotFound { .. })));
        assert!(matches!(app.engine.rename_passkey(&bob.caller, theirs, "mine").await, Err(Error::NotFound { .. })));
    }

    async fn adding_is_bound_to_its_session_and_to_a_verified_person(db) {
        let app = TestApp::start(&db).await;
        let (mut first, signed_in) = global_admin(&app, ADA).await;
        let other = log_in(&app, ADA, &mut first).await.expect("signed in");
        let challenge = app.engine.begin_passkey(&signed_in.caller).await.expect("begun");
        let code = challenge["ceremonyId"].as_str().expect("an id").to_owned();
        let answer = Authenticator::default().create(&challenge);
        assert_eq!(refusal(app.engine.complete_passkey(&other.caller, &code, &answer, "", REQUEST).await), SignInRefusal::ChallengeGone);
        let wrong = [
            Authenticator { verified: false, ..Authenticator::default() },
            Authenticator { origin: "https://evil.example".to_owned(), ..Authenticator::default() },
            Authenticator { rp_id: "evil.example".to_owned(), ..Authenticator::default() },
        ];
        for mut authenticator in wrong {
            assert_eq!(refusal(add(&app, &signed_in.caller, &mut authenticator).await), SignInRefusal::PasskeyRefused, "{authenticator:?}");
        }
        // Signed out while the authenticator was busy.
        let challenge = app.engine.begin_passkey(&signed_in.caller).await.expect("begun");
        app.engine.sign_out(&signed_in.caller, REQUEST).await.expect("signed out");
        let answer = Authenticator::default().create(&challenge);
        let code = challenge["ceremonyId"].as_str().expect("an id");
        assert_eq!(refusal(app.engine.complete_passkey(&signed_in.caller, code, &answer, "", REQUEST).await), SignInRefusal::SessionEnded);
        for _ in 1..PASSKEYS {
            add(&app, &other.caller, &mut Authenticator::default()).await.expect("added");
        }
        assert!(matches!(add(&app, &other.caller, &mut Authenticator::default()).await, Err(Error::Limit { .. })));
    }
}
