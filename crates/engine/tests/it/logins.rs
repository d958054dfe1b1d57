use crate::support::{REQUEST, audited, global_admin, log_in, refusal, visit};
use domain::audit::AuditKind;
use domain::id::UserId;
use domain::session::{LOGIN_FAILURES, SignInRefusal};
use domain::user::UserStatus;
use serde_json::{Value, json};
use testkit::{Authenticator, TestApp};

const ADA: &str = "ada@example.com";

/// Completes a login with an answer to a challenge.
async fn complete(
    app: &TestApp,
    challenge: &Value,
    answer: &Value,
) -> Result<engine::SignedIn, engine::Error> {
    app.engine.complete_login(challenge["ceremonyId"].as_str().expect("an id"), answer, &visit()).await
}

testkit::on_both_engines! {
    async fn a_passkey_signs_in_again_and_again(db) {
        let app = TestApp::start(&db).await;
        let (mut authenticator, first) = global_admin(&app, "Ada@Example.com").await;
        assert_eq!((first.caller.email.as_str(), first.caller.global_admin), (ADA, true));
        for _ in 0..2 {
            let next = log_in(&app, "ADA@example.com", &mut authenticator).await.expect("signed in");
            assert_eq!(next.caller.user, first.caller.user);
            assert_ne!(next.caller.session, first.caller.session, "a session of its own");
        }
        // Those that do not count signatures say 0 always.
        let mut plain = Authenticator { counts: false, ..Authenticator::default() };
        let invited = app.engine.invite_global_admin("bob@example.com", "").await.expect("invited");
        let begun = app.engine.begin_registration(&invited.1, None, REQUEST).await.expect("begun");
        let engine::users::Begun::Registration(challenge) = begun else { panic!("no challenge") };
        let answer = plain.create(&challenge);
        app.engine.complete_registration(challenge["ceremonyId"].as_str().expect("an id"), &answer, (None, ""), REQUEST).await.expect("registered");
        for _ in 0..2 {
            log_in(&app, "bob@example.com", &mut plain).await.expect("signed in");
        }
    }

    async fn a_challenge_is_good_for_one_answer(db) {
        let app = TestApp::start(&db).await;
        let (mut authenticator, _) = global_admin(&app, ADA).await;
        let challenge = app.engine.begin_login(ADA).await.expect("begun");
        let answer = authenticator.get(&challenge);
        complete(&app, &challenge, &answer).await.expect("signed in");
        assert_eq!(refusal(complete(&app, &challenge, &answer).await), SignInRefusal::ChallengeGone);
        // A wrong answer uses it up as well.
        let challenge = app.engine.begin_login(ADA).await.expect("begun");
        let mut wrong = authenticator.get(&challenge);
        wrong["response"]["signature"] = json!("AAAA");
        assert_eq!(refusal(complete(&app, &challenge, &wrong).await), SignInRefusal::PasskeyRefused);
        let right = authenticator.get(&challenge);
        assert_eq!(refusal(complete(&app, &challenge, &right).await), SignInRefusal::ChallengeGone);
    }

    async fn of_parallel_answers_to_one_challenge_one_is_taken(db) {
        let app = TestApp::start(&db).await;
        let (mut authenticator, _) = global_admin(&app, ADA).await;
        let challenge = app.engine.begin_login(ADA).await.expect("begun");
        let code = challenge["ceremonyId"].as_str().expect("an id").to_owned();
        let tries: Vec<_> = (0..8)
            .map(|_| {
                let (engine, code, answer) = (app.engine.clone(), code.clone(), authenticator.get(&challenge));
                tokio::spawn(async move { engine.complete_login(&code, &answer, &visit()).await })
            })
            .collect();
        let mut taken = 0;
        for one in tries {
            match one.await.expect("joined") {
                Ok(_) => taken += 1,
                refused => assert_eq!(refusal(refused), SignInRefusal::ChallengeGone),
            }
        }
        assert_eq!(taken, 1);
    }

    async fn a_challenge_ends_by_time_and_serves_its_own_ceremony(db) {
        let app = TestApp::start(&db).await;
        let (mut authenticator, signed_in) = global_admin(&app, ADA).await;
        let challenge = app.engine.begin_login(ADA).await.expect("begun");
        let past = app.engine.now().plus(-1);
        app.store.write(move |tx| tx.execute("UPDATE ceremonies SET expires_at = ?1 WHERE used_at IS NULL", store::params![past])).await.expect("aged");
        let answer = authenticator.get(&challenge);
        assert_eq!(refusal(complete(&app, &challenge, &answer).await), SignInRefusal::ChallengeGone);
        assert!(app.engine.purge_sign_ins().await.expect("purged"), "and is not kept");

        // One for re-authentication does not sign in; one for login does not re-authenticate, nor does another's.
        let again = app.engine.begin_reauthentication(&signed_in.caller).await.expect("begun");
        let answer = authenticator.get(&again);
        assert_eq!(refusal(complete(&app, &again, &answer).await), SignInRefusal::ChallengeGone);
        let login = app.engine.begin_login(ADA).await.expect("begun");
        let answer = authenticator.get(&login);
        let code = login["ceremonyId"].as_str().expect("an id");
        let mixed = app.engine.complete_reauthentication(&signed_in.caller, code, &answer, &visit()).await;
        assert_eq!(refusal(mixed), SignInRefusal::ChallengeGone);
        let other = log_in(&app, ADA, &mut authenticator).await.expect("signed in");
        let again = app.engine.begin_reauthentication(&signed_in.caller).await.expect("begun");
        let answer = authenticator.get(&again);
        let code = again["ceremonyId"].as_str().expect("an id");
        let mixed = app.engine.complete_reauthentication(&other.caller, code, &answer, &visit()).await;
        assert_eq!(refusal(mixed), SignInRefusal::ChallengeGone);
        for code in ["", "x", &"a".repeat(10_000)] {
            assert_eq!(refusal(app.engine.complete_login(code, &answer, &visit()).await), SignInRefusal::ChallengeGone);
        }
    }

    async fn what_an_authenticator_says_is_checked(db) {
        let app = TestApp::start(&db).await;
        let (authenticator, _) = global_admin(&app, ADA).await;
        let honest = || authenticator.clone();
        let wrong = [
            ("a look-alike", Authenticator { origin: "http://localhost.evil.example:8081".to_owned(), ..honest() }),
            ("a sub-domain", Authenticator { origin: "http://evil.localhost:8081".to_owned(), ..honest() }),
            ("another scheme", Authenticator { origin: "https://localhost:8081".to_owned(), ..honest() }),
            ("another port", Authenticator { origin: "http://localhost:8082".to_owned(), ..honest() }),
            ("another domain's passkey", Authenticator { rp_id: "evil.example".to_owned(), ..honest() }),
            ("nobody verified", Authenticator { verified: false, ..honest() }),
            ("nobody present", Authenticator { present: false, ..honest() }),
            ("another key", Authenticator { credential_id: honest().credential_id, ..Authenticator::default() }),
            ("an unknown passkey", Authenticator::default()),
        ];
        for (what, mut authenticator) in wrong {
            authenticator.counter += 100;
            let refused = log_in(&app, ADA, &mut authenticator).await;
            assert_eq!(refusal(refused), SignInRefusal::PasskeyRefused, "{what}");
        }
        let mut owner = honest();
        log_in(&app, ADA, &mut owner).await.expect("the right one still signs in");
        let challenge = app.engine.begin_login(ADA).await.expect("begun");
        let other = app.engine.begin_login(ADA).await.expect("begun");
        let (code, visit) = (challenge["ceremonyId"].as_str().expect("an id"), engine::Visit { address: "another".to_owned(), ..visit() });
        let answer = owner.get(&other);
        assert_eq!(refusal(app.engine.complete_login(code, &answer, &visit).await), SignInRefusal::PasskeyRefused, "another challenge");
        for email in [ADA, "nobody@example.com"] {
            let challenge = app.engine.begin_login(email).await.expect("begun");
            let answer = owner.create(&challenge);
            assert!(matches!(complete(&app, &challenge, &answer).await, Err(engine::Error::Invalid { .. })), "of another form");
        }
        log_in(&app, ADA, &mut owner).await.expect("signed in");
    }

    async fn a_copied_passkey_is_found_by_its_counter(db) {
        let app = TestApp::start(&db).await;
        let (mut authenticator, _) = global_admin(&app, ADA).await;
        let mut copy = authenticator.clone();
        log_in(&app, ADA, &mut authenticator).await.expect("signed in");
        assert_eq!(refusal(log_in(&app, ADA, &mut copy).await), SignInRefusal::PasskeyCloned);
        assert_eq!(audited(&app, AuditKind::PasskeyCloned).await, 1, "in the log though it was refused");
        // A challenge from before the counter grew is judged by the counter as it is now.
        let early = app.engine.begin_login(ADA).await.expect("begun");
        let stale = authenticator.clone().get(&early);
        log_in(&app, ADA, &mut authenticator).await.expect("signed in");
        assert_eq!(refusal(complete(&app, &early, &stale).await), SignInRefusal::PasskeyCloned);
        // One that counted does not stop counting.
        let mut reset = Authenticator { counter: 0, counts: false, ..authenticator.clone() };
        assert_eq!(refusal(log_in(&app, ADA, &mut reset).await), SignInRefusal::PasskeyCloned);
        log_in(&app, ADA, &mut authenticator).await.expect("the owner still signs in");
    }

    async fn failures_are_told_to_wait_and_lock_nobody_out(db) {
        let app = TestApp::start(&db).await;
        let (mut ada, _) = global_admin(&app, ADA).await;
        for email in [ADA, "nobody@example.com"] {
            for n in 1..=LOGIN_FAILURES + 1 {
                // Each from an address of its own: it is the account that is counted, registered or not.
                let visit = engine::Visit { address: format!("{email} {n}"), ..visit() };
                let challenge = app.engine.begin_login(email).await.expect("begun");
                let answer = Authenticator::default().get(&challenge);
                let code = challenge["ceremonyId"].as_str().expect("an id");
                let refused = refusal(app.engine.complete_login(code, &answer, &visit).await);
                let waits = matches!(refused, SignInRefusal::TooManyFailures { wait: 1..=1_800 });
                assert_eq!(waits, n >= LOGIN_FAILURES, "{email} {n}: {refused:?}");
            }
        }
        assert_eq!(audited(&app, AuditKind::LoginFailures).await, 2, "once for each");
        log_in(&app, ADA, &mut ada).await.expect("the owner gets in");
        let refused = refusal(log_in(&app, ADA, &mut Authenticator::default()).await);
        assert_eq!(refused, SignInRefusal::PasskeyRefused, "and the count is forgotten");
        // From one address, whatever the accounts are.
        for n in 2..=LOGIN_FAILURES {
            let refused = refusal(log_in(&app, &format!("{n}@example.com"), &mut Authenticator::default()).await);
            assert_eq!(matches!(refused, SignInRefusal::TooManyFailures { .. }), n >= LOGIN_FAILURES, "{n}: {refused:?}");
        }
        log_in(&app, ADA, &mut ada).await.expect("from there too");
    }

    async fn nobody_signs_in_as_another(db) {
        let app = TestApp::start(&db).await;
        let (mut ada, _) = global_admin(&app, ADA).await;
        let (mut bob, bobs) = global_admin(&app, "bob@example.com").await;
        assert_eq!(refusal(log_in(&app, ADA, &mut bob).await), SignInRefusal::PasskeyRefused);
        app.engine.set_user_status(bobs.caller.user, UserStatus::Disabled).await.expect("disabled");
        assert_eq!(refusal(log_in(&app, "bob@example.com", &mut bob).await), SignInRefusal::PasskeyRefused);
        // Disabled between challenge and answer.
        app.engine.set_user_status(bobs.caller.user, UserStatus::Active).await.expect("enabled");
        let challenge = app.engine.begin_login("bob@example.com").await.expect("begun");
        app.engine.set_user_status(bobs.caller.user, UserStatus::Disabled).await.expect("disabled");
        let answer = bob.get(&challenge);
        assert_eq!(refusal(complete(&app, &challenge, &answer).await), SignInRefusal::PasskeyRefused);
        log_in(&app, ADA, &mut ada).await.expect("signed in");
    }

    async fn a_challenge_does_not_tell_who_is_registered(db) {
        let app = TestApp::start(&db).await;
        global_admin(&app, ADA).await;
        let (_, disabled) = global_admin(&app, "off@example.com").await;
        app.engine.set_user_status(disabled.caller.user, UserStatus::Disabled).await.expect("disabled");
        let shape = |challenge: &Value| {
            let options = challenge["publicKey"].as_object().expect("options");
            let names: Vec<String> = options.keys().cloned().collect();
            let one = options["allowCredentials"][0].as_object().expect("a passkey").keys().cloned().collect::<Vec<_>>();
            let fixed = ["timeout", "rpId", "userVerification"].map(|name| options[name].clone());
            (names, one, fixed, options["challenge"].as_str().map(str::len), challenge.as_object().map(|c| c.keys().cloned().collect::<Vec<_>>()))
        };
        let known = app.engine.begin_login(ADA).await.expect("begun");
        for nobody in ["nobody@example.com", "off@example.com"] {
            let first = app.engine.begin_login(nobody).await.expect("begun");
            let second = app.engine.begin_login(&nobody.to_uppercase()).await.expect("begun");
            assert_eq!(shape(&first), shape(&known));
            assert_eq!(first["publicKey"]["allowCredentials"], second["publicKey"]["allowCredentials"], "the same each time");
            assert_ne!(first["publicKey"]["challenge"], second["publicKey"]["challenge"]);
            let answer = Authenticator::default().get(&first);
            assert_eq!(refusal(complete(&app, &first, &answer).await), SignInRefusal::PasskeyRefused);
        }
        let nobody: Option<UserId> = app.store.read(|tx| tx.opt("SELECT id FROM users WHERE email = 'nobody@example.com'", &[], |r| r.next())).await.expect("read");
        assert_eq!(nobody, None);
        for bad in ["", "ada", "a@b@c"] {
            assert!(matches!(app.engine.begin_login(bad).await, Err(engine::Error::Invalid { .. })), "{bad}");
        }
    }
}
