use crate::support::{REQUEST, age_session, audited, caller, global_admin, log_in, refusal, visit};
use domain::audit::AuditKind;
use domain::limits::SESSIONS;
use domain::scope::Mode;
use domain::session::{FRESH_LOGIN_US, IDLE_US, LIFETIME_US, SEEN_EVERY_US, SignInRefusal};
use domain::user::UserStatus;
use engine::SignedIn;
use testkit::TestApp;

const ADA: &str = "ada@example.com";

fn refresh(signed_in: &SignedIn) -> String {
    signed_in.refresh_token.clone().expect("a refresh token")
}

testkit::on_both_engines! {
    async fn an_access_token_works_until_its_session_ends(db) {
        let app = TestApp::start(&db).await;
        let (mut authenticator, signed_in) = global_admin(&app, ADA).await;
        let token = &signed_in.access_token;
        assert_eq!(caller(&app, token).await, Some(signed_in.caller.clone()));
        let other = log_in(&app, ADA, &mut authenticator).await.expect("signed in");
        app.engine.sign_out(&signed_in.caller, REQUEST).await.expect("signed out");
        assert_eq!(caller(&app, token).await, None, "on the next request");
        assert_eq!(refusal(app.engine.refresh_session(&refresh(&signed_in), None, REQUEST).await), SignInRefusal::SessionEnded);
        assert_eq!(caller(&app, &other.access_token).await, Some(other.caller.clone()), "the other session goes on");
        app.engine.sign_out(&signed_in.caller, REQUEST).await.expect("again");
        assert_eq!(audited(&app, AuditKind::SignedOut).await, 1);
        app.engine.set_user_status(other.caller.user, UserStatus::Disabled).await.expect("disabled");
        assert_eq!(caller(&app, &other.access_token).await, None);
        app.engine.set_user_status(other.caller.user, UserStatus::Active).await.expect("enabled");
        assert_eq!(caller(&app, &other.access_token).await, None, "an ended session stays ended");
        for bad in ["", "x", "a.b.c", &token[1..]] {
            assert_eq!(caller(&app, bad).await, None, "{bad}");
        }
    }

    async fn a_session_ends_when_idle_and_at_its_lifetime(db) {
        let app = TestApp::start(&db).await;
        let (_, signed_in) = global_admin(&app, ADA).await;
        age_session(&app, &signed_in, IDLE_US - 2 * domain::time::MINUTE).await;
        assert!(caller(&app, &signed_in.access_token).await.is_some());
        // That was use: it is written down, so the session is not idle any more.
        let session = signed_in.caller.session;
        let seen = app.store.read(move |tx| store::sessions::get(tx, session)).await.expect("read").expect("a session");
        assert!(seen.seen_at > app.engine.now().plus(-SEEN_EVERY_US));
        age_session(&app, &signed_in, IDLE_US).await;
        assert_eq!(caller(&app, &signed_in.access_token).await, None);
        assert_eq!(refusal(app.engine.refresh_session(&refresh(&signed_in), None, REQUEST).await), SignInRefusal::SessionEnded);

        let (_, signed_in) = global_admin(&app, "bob@example.com").await;
        let (session, begun) = (signed_in.caller.session, app.engine.now().plus(-LIFETIME_US));
        app.store.write(move |tx| tx.execute("UPDATE sessions SET created_at = ?1 WHERE id = ?2", store::params![begun, session])).await.expect("aged");
        assert_eq!(caller(&app, &signed_in.access_token).await, None, "however much it is used");
        assert_eq!(refusal(app.engine.refresh_session(&refresh(&signed_in), None, REQUEST).await), SignInRefusal::SessionEnded);
    }

    async fn a_refresh_token_is_good_once_and_its_second_use_ends_the_session(db) {
        let app = TestApp::start(&db).await;
        let (_, first) = global_admin(&app, ADA).await;
        let second = app.engine.refresh_session(&refresh(&first), None, REQUEST).await.expect("refreshed");
        let third = app.engine.refresh_session(&refresh(&second), None, REQUEST).await.expect("refreshed");
        assert_eq!(third.caller.session, first.caller.session);
        assert!(caller(&app, &third.access_token).await.is_some());
        assert_eq!(refusal(app.engine.refresh_session(&refresh(&first), None, REQUEST).await), SignInRefusal::RefreshReused);
        assert_eq!(caller(&app, &third.access_token).await, None, "the whole family");
        assert_eq!(refusal(app.engine.refresh_session(&refresh(&third), None, REQUEST).await), SignInRefusal::SessionEnded);
        assert_eq!(audited(&app, AuditKind::RefreshReused).await, 1);
        assert_eq!(refusal(app.engine.refresh_session(&refresh(&first), None, REQUEST).await), SignInRefusal::RefreshReused);
        assert_eq!(audited(&app, AuditKind::RefreshReused).await, 1, "told once");
        for bad in ["", "pgr_guessed", &"é".repeat(500)] {
            assert_eq!(refusal(app.engine.refresh_session(bad, None, REQUEST).await), SignInRefusal::SessionEnded);
        }
    }

    async fn of_two_parallel_refreshes_the_second_ends_the_session(db) {
        let app = TestApp::start(&db).await;
        let (_, first) = global_admin(&app, ADA).await;
        let tries: Vec<_> = (0..4)
            .map(|_| {
                let (engine, token) = (app.engine.clone(), refresh(&first));
                tokio::spawn(async move { engine.refresh_session(&token, None, REQUEST).await })
            })
            .collect();
        let mut won = Vec::new();
        for one in tries {
            match one.await.expect("joined") {
                Ok(signed_in) => won.push(signed_in),
                refused => assert_eq!(refusal(refused), SignInRefusal::RefreshReused),
            }
        }
        assert_eq!(won.len(), 1);
        assert_eq!(caller(&app, &won[0].access_token).await, None);
        assert_eq!(audited(&app, AuditKind::RefreshReused).await, 1);
    }

    async fn a_token_names_its_mode_and_a_refresh_changes_it(db) {
        let app = TestApp::start(&db).await;
        let (_, first) = global_admin(&app, ADA).await;
        assert_eq!(first.caller.mode, Mode::Test, "test unless asked for");
        let live = app.engine.refresh_session(&refresh(&first), Some(Mode::Live), REQUEST).await.expect("refreshed");
        assert_eq!(caller(&app, &live.access_token).await.map(|c| c.mode), Some(Mode::Live));
        assert_eq!(caller(&app, &first.access_token).await.map(|c| c.mode), Some(Mode::Test), "the old token keeps its own");
        let kept = app.engine.refresh_session(&refresh(&live), None, REQUEST).await.expect("refreshed");
        assert_eq!(kept.caller.mode, Mode::Live);
    }

    async fn dangerous_acts_want_a_login_of_now(db) {
        let app = TestApp::start(&db).await;
        let (mut authenticator, signed_in) = global_admin(&app, ADA).await;
        app.engine.require_fresh_login(&signed_in.caller).expect("just signed in");
        let (session, at) = (signed_in.caller.session, app.engine.now().plus(-FRESH_LOGIN_US));
        app.store.write(move |tx| tx.execute("UPDATE sessions SET authenticated_at = ?1 WHERE id = ?2", store::params![at, session])).await.expect("aged");
        let stale = caller(&app, &signed_in.access_token).await.expect("a session");
        assert_eq!(refusal(app.engine.require_fresh_login(&stale)), SignInRefusal::ReauthenticationRequired { minutes: 15 });
        assert_eq!(refusal(app.engine.begin_passkey(&stale).await), SignInRefusal::ReauthenticationRequired { minutes: 15 });
        let passkey = app.engine.passkeys(stale.user).await.expect("listed")[0].id;
        assert_eq!(refusal(app.engine.remove_passkey(&stale, passkey, REQUEST).await), SignInRefusal::ReauthenticationRequired { minutes: 15 });
        let refreshed = app.engine.refresh_session(&refresh(&signed_in), None, REQUEST).await.expect("refreshed");
        assert_eq!(refusal(app.engine.require_fresh_login(&refreshed.caller)), SignInRefusal::ReauthenticationRequired { minutes: 15 }, "a refresh proves nothing");
        let challenge = app.engine.begin_reauthentication(&stale).await.expect("begun");
        let answer = authenticator.get(&challenge);
        let code = challenge["ceremonyId"].as_str().expect("an id");
        let again = app.engine.complete_reauthentication(&stale, code, &answer, &visit()).await.expect("confirmed");
        assert_eq!((again.caller.session, again.refresh_token.is_none()), (stale.session, true));
        let fresh = caller(&app, &signed_in.access_token).await.expect("a session");
        app.engine.require_fresh_login(&fresh).expect("confirmed");
    }

    async fn logins_beyond_the_bound_end_the_oldest_sessions(db) {
        let app = TestApp::start(&db).await;
        let (mut authenticator, first) = global_admin(&app, ADA).await;
        let mut all = vec![first];
        for _ in 0..SESSIONS {
            all.push(log_in(&app, ADA, &mut authenticator).await.expect("signed in"));
        }
        let mut open = Vec::new();
        for one in &all {
            open.push(caller(&app, &one.access_token).await.is_some());
        }
        assert!(!open[0] && open[1..].iter().all(|open| *open), "{open:?}");
    }

    async fn what_ended_long_ago_is_not_kept(db) {
        let app = TestApp::start(&db).await;
        let (mut authenticator, first) = global_admin(&app, ADA).await;
        let second = log_in(&app, ADA, &mut authenticator).await.expect("signed in");
        let past = app.engine.now().plus(-domain::limits::ENDED_SIGN_IN_US - 1);
        let (old, made) = (first.caller.session, store::ledger::first_id(past.plus(-domain::time::DAY)));
        app.store.write(move |tx| {
            tx.execute("UPDATE sessions SET id = ?1 WHERE id = ?2", store::params![made, old])?;
            tx.execute("UPDATE refresh_tokens SET session = ?1 WHERE session = ?2", store::params![made, old])?;
            tx.execute("UPDATE invites SET expires_at = ?1", store::params![past])
        }).await.expect("aged");
        while app.engine.purge_sign_ins().await.expect("purged") {}
        let count = |table: &'static str| app.store.read(move |tx| tx.one(&format!("SELECT COUNT(*) FROM {table}"), &[], |r| r.next::<i64>()));
        assert_eq!((count("sessions").await.expect("read"), count("refresh_tokens").await.expect("read"), count("invites").await.expect("read")), (1, 1, 0));
        assert!(caller(&app, &second.access_token).await.is_some());
    }
}
