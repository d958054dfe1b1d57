use crate::support::{REQUEST, by, caller, global_admin, log_in, member, refusal, register};
use domain::access::Role;
use domain::id::MerchantId;
use domain::limits::OPEN_INVITES;
use domain::session::{SessionCaller, SignInRefusal};
use domain::user::UserStatus;
use engine::users::Begun;
use engine::{Error, SignedIn};
use testkit::{Authenticator, TestApp};

const ADA: &str = "ada@example.com";
const EVE: &str = "eve@example.com";

async fn invite(app: &TestApp, inviter: &SessionCaller, role: Role, email: &str) -> Result<String, Error> {
    Ok(app.engine.invite_member(by(inviter), (app.merchant, role), email, "").await?.1)
}

/// An organisation with a global administrator beside it and an administrator in it.
async fn organisation(app: &TestApp) -> (SignedIn, SignedIn) {
    let (_, root) = global_admin(app, "root@example.com").await;
    let (_, admin) = member(app, &root.caller, app.merchant, Role::Admin, ADA).await;
    (root, admin)
}

async fn role_of(app: &TestApp, token: &str, merchant: MerchantId) -> Option<Role> {
    caller(app, token).await.and_then(|caller| caller.role(merchant))
}

testkit::on_both_engines! {
    async fn whoever_is_invited_becomes_what_the_invitation_says(db) {
        let app = TestApp::start(&db).await;
        let (_, admin) = organisation(&app).await;
        assert_eq!(admin.caller.memberships, [(app.merchant, Role::Admin)]);
        assert!(!admin.caller.global_admin);
        let (mut evas, eve) = member(&app, &admin.caller, app.merchant, Role::Viewer, "Eve@Example.com").await;
        assert_eq!((eve.caller.email.as_str(), eve.caller.memberships.as_slice()), (EVE, [(app.merchant, Role::Viewer)].as_slice()));
        log_in(&app, EVE, &mut evas).await.expect("signed in");
        invite(&app, &admin.caller, Role::Support, "new@example.com").await.expect("invited");
        let (members, invites) = app.engine.members(app.merchant).await.expect("listed");
        let told: Vec<(&str, Role)> = members.iter().map(|(u, m)| (u.email.as_str(), m.role)).collect();
        assert_eq!(told, [(ADA, Role::Admin), (EVE, Role::Viewer)]);
        assert_eq!(invites.iter().map(|i| i.email.as_str()).collect::<Vec<_>>(), ["new@example.com"]);
        let again = invite(&app, &admin.caller, Role::Admin, EVE).await;
        assert!(matches!(again, Err(Error::Invalid { code: "already_member", .. })), "{again:?}");
    }

    async fn an_invitation_is_good_once_until_it_is_taken_back_or_lapses(db) {
        let app = TestApp::start(&db).await;
        let (_, admin) = organisation(&app).await;
        let gone = |token: String| { let app = app.clone(); async move { refusal(app.engine.begin_registration(&token, None, REQUEST).await) } };
        let token = invite(&app, &admin.caller, Role::Viewer, EVE).await.expect("invited");
        register(&app, &token).await;
        assert_eq!(gone(token).await, SignInRefusal::InviteGone);
        let first = invite(&app, &admin.caller, Role::Viewer, "new@example.com").await.expect("invited");
        let second = invite(&app, &admin.caller, Role::Support, "new@example.com").await.expect("invited");
        assert_eq!(gone(first).await, SignInRefusal::InviteGone, "the later one took its place");
        let (_, open) = app.engine.members(app.merchant).await.expect("listed");
        app.engine.remove_member(by(&admin.caller), app.merchant, open[0].id.0).await.expect("taken back");
        assert_eq!(gone(second).await, SignInRefusal::InviteGone);
        let token = invite(&app, &admin.caller, Role::Viewer, "late@example.com").await.expect("invited");
        let past = app.engine.now();
        app.store.write(move |tx| tx.execute("UPDATE invites SET expires_at = ?1", store::params![past])).await.expect("aged");
        assert_eq!(gone(token).await, SignInRefusal::InviteGone);
        assert_eq!(gone("pgi_guessed".to_owned()).await, SignInRefusal::InviteGone);
        for n in 0..OPEN_INVITES {
            invite(&app, &admin.caller, Role::Viewer, &format!("{n}@example.com")).await.expect("invited");
        }
        assert!(matches!(invite(&app, &admin.caller, Role::Viewer, "more@example.com").await, Err(Error::Limit { .. })));
        invite(&app, &admin.caller, Role::Viewer, "0@example.com").await.expect("in place of the earlier one");
    }

    async fn of_two_that_take_up_one_invitation_one_does(db) {
        let app = TestApp::start(&db).await;
        let (_, admin) = organisation(&app).await;
        let token = invite(&app, &admin.caller, Role::Viewer, EVE).await.expect("invited");
        let mut begun = Vec::new();
        for _ in 0..4 {
            match app.engine.begin_registration(&token, None, REQUEST).await.expect("begun") {
                Begun::Registration(challenge) => begun.push(challenge),
                other => panic!("no challenge: {other:?}"),
            }
        }
        let tries: Vec<_> = begun.into_iter().map(|challenge| {
            let (engine, answer) = (app.engine.clone(), Authenticator::default().create(&challenge));
            let code = challenge["ceremonyId"].as_str().expect("an id").to_owned();
            tokio::spawn(async move { engine.complete_registration(&code, &answer, (None, ""), REQUEST).await })
        }).collect();
        let mut registered = 0;
        for one in tries {
            match one.await.expect("joined") {
                Ok(_) => registered += 1,
                refused => assert!(matches!(refusal(refused), SignInRefusal::InviteGone | SignInRefusal::SignInFirst)),
            }
        }
        assert_eq!((registered, app.engine.members(app.merchant).await.expect("listed").0.len()), (1, 2));
    }

    async fn an_invitation_gives_nobody_the_account_of_another(db) {
        let app = TestApp::start(&db).await;
        let (root, admin) = organisation(&app).await;
        let other = app.another_merchant().await;
        let (_, bob) = member(&app, &root.caller, other.merchant, Role::Admin, "bob@example.com").await;
        // Ada invites Bob and has the token: it makes no passkey for Bob.
        let token = invite(&app, &admin.caller, Role::Viewer, "bob@example.com").await.expect("invited");
        let begin = |caller: Option<SessionCaller>| { let (app, token) = (app.clone(), token.clone()); async move { app.engine.begin_registration(&token, caller.as_ref(), REQUEST).await } };
        assert_eq!(refusal(begin(None).await), SignInRefusal::SignInFirst);
        assert_eq!(refusal(begin(Some(admin.caller.clone())).await), SignInRefusal::InviteForAnother);
        let Begun::Joined(joined) = begin(Some(bob.caller.clone())).await.expect("joined") else { panic!("a challenge") };
        assert_eq!((joined.role(app.merchant), joined.role(other.merchant)), (Some(Role::Viewer), Some(Role::Admin)));
        assert_eq!(refusal(begin(Some(bob.caller.clone())).await), SignInRefusal::InviteGone);
        let token = invite(&app, &admin.caller, Role::Viewer, "nobody@example.com").await.expect("invited");
        let mixed = app.engine.begin_registration(&token, Some(&bob.caller), REQUEST).await;
        assert_eq!(refusal(mixed), SignInRefusal::InviteForAnother);
    }

    async fn roles_change_on_the_next_request_and_nobody_changes_their_own(db) {
        let app = TestApp::start(&db).await;
        let (root, admin) = organisation(&app).await;
        let (_, eve) = member(&app, &admin.caller, app.merchant, Role::Admin, EVE).await;
        let change = |who: SessionCaller, whom: SessionCaller, role: Role| { let app = app.clone(); async move { app.engine.change_role(by(&who), app.merchant, whom.user, role).await } };
        assert_eq!(refusal(change(admin.caller.clone(), admin.caller.clone(), Role::Viewer).await), SignInRefusal::OwnRole);
        change(admin.caller.clone(), eve.caller.clone(), Role::Viewer).await.expect("changed");
        assert_eq!(role_of(&app, &eve.access_token, app.merchant).await, Some(Role::Viewer), "her token is the same");
        assert_eq!(refusal(change(eve.caller.clone(), admin.caller.clone(), Role::Viewer).await), SignInRefusal::NotAdministrator);
        assert_eq!(refusal(invite(&app, &eve.caller, Role::Admin, "x@example.com").await), SignInRefusal::NotAdministrator);
        let remove = |who: SessionCaller, whom: SessionCaller| { let app = app.clone(); async move { app.engine.remove_member(by(&who), app.merchant, whom.user.0).await } };
        assert_eq!(refusal(remove(admin.caller.clone(), admin.caller.clone()).await), SignInRefusal::OwnRole);
        remove(admin.caller.clone(), eve.caller.clone()).await.expect("removed");
        assert_eq!(role_of(&app, &eve.access_token, app.merchant).await, None);
        assert!(matches!(remove(admin.caller.clone(), eve.caller.clone()).await, Err(Error::NotFound { .. })));
        // Of another organisation nobody is to be found, and an invitation there is not to be taken back.
        let other = app.another_merchant().await;
        let (_, bob) = member(&app, &root.caller, other.merchant, Role::Admin, "bob@example.com").await;
        assert!(matches!(change(admin.caller.clone(), bob.caller.clone(), Role::Viewer).await, Err(Error::NotFound { .. })));
        let (theirs, _) = app.engine.invite_member(by(&bob.caller), (other.merchant, Role::Viewer), "y@example.com", "").await.expect("invited");
        assert!(matches!(app.engine.remove_member(by(&admin.caller), app.merchant, theirs.id.0).await, Err(Error::NotFound { .. })));
        assert_eq!(app.engine.members(other.merchant).await.expect("listed").1.len(), 1);
        // Who administers everything may do it without being a member.
        change(root.caller.clone(), admin.caller.clone(), Role::Support).await.expect("changed");
    }

    async fn of_two_administrators_who_remove_one_another_one_is_refused(db) {
        let app = TestApp::start(&db).await;
        let (_, ada) = organisation(&app).await;
        let (_, eve) = member(&app, &ada.caller, app.merchant, Role::Admin, EVE).await;
        let tries: Vec<_> = [(&ada, &eve), (&eve, &ada)].map(|(who, whom)| {
            let (engine, merchant, who, whom) = (app.engine.clone(), app.merchant, by(&who.caller), whom.caller.user);
            tokio::spawn(async move { engine.remove_member(who, merchant, whom.0).await })
        }).into();
        let mut removed = 0;
        for one in tries {
            match one.await.expect("joined") {
                Ok(()) => removed += 1,
                refused => assert_eq!(refusal(refused), SignInRefusal::NotAdministrator),
            }
        }
        assert_eq!((removed, app.engine.members(app.merchant).await.expect("listed").0.len()), (1, 1));
    }

    async fn whoever_lost_their_passkeys_gets_a_new_one_for_all_of_them(db) {
        let app = TestApp::start(&db).await;
        let (mut lost, before) = global_admin(&app, ADA).await;
        let (_, token) = app.engine.recover_user(before.caller.user).await.expect("a token");
        assert!(caller(&app, &before.access_token).await.is_some(), "nothing happens until it is used");
        let (mut new, after) = register(&app, &token).await;
        assert_eq!(after.caller.user, before.caller.user);
        assert!(after.caller.global_admin);
        assert_eq!(caller(&app, &before.access_token).await, None, "every session ended");
        assert!(caller(&app, &after.access_token).await.is_some());
        assert_eq!(refusal(log_in(&app, ADA, &mut lost).await), SignInRefusal::PasskeyRefused);
        log_in(&app, ADA, &mut new).await.expect("signed in");
        let (_, token) = app.engine.recover_user(before.caller.user).await.expect("a token");
        app.engine.set_user_status(before.caller.user, UserStatus::Disabled).await.expect("disabled");
        let begun = app.engine.begin_registration(&token, None, REQUEST).await.expect("begun");
        let Begun::Registration(challenge) = begun else { panic!("no challenge") };
        let answer = Authenticator::default().create(&challenge);
        let code = challenge["ceremonyId"].as_str().expect("an id");
        assert_eq!(refusal(app.engine.complete_registration(code, &answer, (None, ""), REQUEST).await), SignInRefusal::InviteGone);
    }

    async fn the_operator_makes_global_administrators(db) {
        let app = TestApp::start(&db).await;
        let (_, ada) = organisation(&app).await;
        let (_, token) = app.engine.invite_global_admin(ADA, "").await.expect("a token");
        let before = caller(&app, &ada.access_token).await.expect("signed in");
        assert!(!before.global_admin, "nobody has shown that the address is hers");
        let begun = app.engine.begin_registration(&token, Some(&before), REQUEST).await.expect("taken up");
        assert!(!matches!(begun, Begun::Registration(_)), "with the passkeys that she has");
        assert!(caller(&app, &ada.access_token).await.is_some_and(|caller| caller.global_admin));
        let (admins, invites) = app.engine.global_admins().await.expect("listed");
        assert_eq!((admins.len(), invites.len()), (2, 0));
        app.engine.invite_global_admin("new@example.com", "New").await.expect("invited");
        assert_eq!(app.engine.global_admins().await.expect("listed").1.len(), 1);
        for (email, name) in [("", "x"), ("new", "x"), ("new@example.com", "a\nb")] {
            assert!(matches!(app.engine.invite_global_admin(email, name).await, Err(Error::Invalid { .. })), "{email} {name}");
        }
    }
}
