//! One good request for each route that is for people, as their browser makes it.

use api_admin::{Access, Endpoint};
use serde_json::{Value, json};
use testkit::office::{Office, text};
use testkit::{Authenticator, Person, TestApp};

pub struct People {
    root: Person,
    /// An administrator of the organisation.
    ada: Person,
    /// Somebody whose session is used up.
    eve: Person,
    organization: String,
}

impl People {
    pub async fn come(app: &TestApp, office: &Office) -> People {
        let root = Person::global_admin(app, "root@example.com").await;
        let organization = office.organization.clone();
        let ada = root.invite(&organization, "admin", "ada@example.com").await;
        let eve = root.invite(&organization, "support", "eve@example.com").await;
        People { root, ada, eve, organization }
    }

    /// Whether a route is one that keys do not open, or that is about a person.
    pub fn are_asked_by(route: &Endpoint) -> bool {
        matches!(route.access, Access::Visitor | Access::Cookie | Access::Person)
            || route.path.ends_with("{userId}")
    }

    async fn invitation(&self, email: &str) -> String {
        let users = format!("/organizations/{}/users", self.organization);
        let invited = self.root.post(&users, &json!({ "email": email, "role": "viewer" })).await.expect(201);
        text(&invited["token"])
    }

    async fn second_passkey(&self) -> String {
        let listed = self.ada.get("/profile/passkeys").await.expect(200);
        text(&listed["passkeys"].as_array().expect("rows").last().expect("one")["id"])
    }

    async fn eves_id(&self) -> String {
        let listed = self.ada.get(&format!("/organizations/{}/users", self.organization)).await.expect(200);
        let rows = listed["users"].as_array().expect("rows").iter();
        text(&rows.into_iter().find(|user| user["email"] == "eve@example.com").expect("a member")["id"])
    }

    /// Who asks, at which address, and with what. May ask for other things before.
    pub async fn request(&mut self, route: &Endpoint) -> (Person, String, Option<Value>) {
        let nobody = Person { token: String::new(), cookies: String::new(), ..self.ada.clone() };
        let path = route.path.replace("{orgId}", &self.organization);
        let body = match (route.method, route.path) {
            ("POST", "/auth") => return (nobody, path, Some(json!({ "email": self.ada.email }))),
            ("POST", "/auth/authenticate-complete") => {
                let mut coming = nobody;
                let body = coming.answer().await;
                self.ada.authenticator = coming.authenticator.clone();
                return (coming, path, Some(body));
            }
            ("POST", "/auth/refresh-token") => {
                return (self.eve.clone(), path, Some(json!({ "mode": "live" })));
            }
            ("POST", "/auth/logout") => return (self.eve.clone(), path, None),
            ("POST", "/auth/register") => {
                return (nobody, path, Some(json!({ "token": self.invitation("new@example.com").await })));
            }
            ("POST", "/auth/register-complete") => {
                let token = self.invitation("newer@example.com").await;
                let challenge = nobody.post("/auth/register", &json!({ "token": token })).await.expect(200);
                let credential = Authenticator::default().create(&challenge);
                let body = json!({
                    "ceremonyId": challenge["ceremonyId"], "credential": credential, "name": "Newer", "label": "Laptop",
                });
                return (nobody, path, Some(body));
            }
            ("PUT", "/profile") => Some(json!({ "name": "Ada L." })),
            ("POST", "/profile/passkeys/complete") => {
                let challenge = self.ada.post("/profile/passkeys", &json!({})).await.expect(200);
                let credential = Authenticator::default().create(&challenge);
                Some(
                    json!({ "ceremonyId": challenge["ceremonyId"], "credential": credential, "label": "Phone" }),
                )
            }
            ("PUT", "/profile/passkeys/{id}") => Some(json!({ "label": "Old phone" })),
            ("PUT", "/organizations/{orgId}/users/{userId}") => Some(json!({ "role": "viewer" })),
            _ => None,
        };
        let path = match route.path {
            "/profile/passkeys/{id}" => path.replace("{id}", &self.second_passkey().await),
            _ if path.contains("{userId}") => path.replace("{userId}", &self.eves_id().await),
            _ => path,
        };
        (self.ada.clone(), path, body)
    }
}
