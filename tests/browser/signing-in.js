// Somebody who registers and signs in with a passkey, against a running gateway: node signing-in.js --admin
// http://localhost:8081 --token pgi_… . The authenticator is Chromium's own, behind the DevTools protocol.
"use strict";

const assert = require("node:assert/strict");
const { parseArgs } = require("node:util");
const { HANGS_MS, launch, open } = require("./browser.js");

const text = { type: "string" };
const { values: given } = parseArgs({ options: { admin: text, token: text } });
const api = `${given.admin}/api/v1`;
/** Pages of a panel, and of somebody who relays it from another port of the same host: passkeys do not tell ports
 * apart, so it is the gateway that has to. */
const PANEL = `${given.admin}/panel`;
const RELAY = "http://localhost:9/relay";
const PAGE = "<!doctype html><html lang=en><title>Panel</title><link rel=icon href=data:,><h1>Panel</h1>";

/** What a panel's script does: see docs/admin-sign-in.md. */
const SCRIPT = `
  const call = async (method, path, body, token) => {
    const answer = await fetch("/api/v1" + path, {
      method,
      credentials: "same-origin",
      headers: { ...(body && { "content-type": "application/json" }), ...(token && { authorization: "Bearer " + token }) },
      body: body && JSON.stringify(body),
    });
    return { status: answer.status, body: await answer.json() };
  };
  const create = async (challenge) => {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(challenge.publicKey);
    return (await navigator.credentials.create({ publicKey })).toJSON();
  };
  const get = async (challenge) => {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(challenge.publicKey);
    return (await navigator.credentials.get({ publicKey })).toJSON();
  };
`;

class Panel {
  static async come(browser) {
    const panel = new Panel();
    const { context, page, run, close } = await open(browser);
    Object.assign(panel, { context, page, close });
    page.setDefaultTimeout(HANGS_MS);
    for (const address of [PANEL, RELAY]) {
      await context.route(address, (route) => route.fulfill({ contentType: "text/html", body: PAGE }));
    }
    await page.goto(PANEL);
    // Expressions, since the page's own script is what is tried out here.
    panel.run = (expression) => run(`(async () => { ${SCRIPT}; return ${expression}; })()`);
    panel.cdp = await context.newCDPSession(page);
    await panel.cdp.send("WebAuthn.enable");
    panel.authenticator = await panel.plugIn("internal");
    return panel;
  }

  /** A further authenticator, whose owner is always there and verified. */
  async plugIn(transport) {
    const options = {
      protocol: "ctap2", transport, hasResidentKey: true, hasUserVerification: true,
      isUserVerified: true, automaticPresenceSimulation: true,
    };
    return (await this.cdp.send("WebAuthn.addVirtualAuthenticator", { options })).authenticatorId;
  }

  async call(method, path, body, status = 200) {
    const words = [method, path, body ?? null, this.token ?? null].map((word) => JSON.stringify(word)).join(", ");
    const answer = await this.run(`await call(${words})`);
    assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  refused(method, path, body, status, code) {
    return this.call(method, path, body, status).then((answer) => assert.equal(answer.code, code));
  }

  create(challenge) {
    return this.run(`await create(${JSON.stringify(challenge)})`);
  }

  get(challenge) {
    return this.run(`await get(${JSON.stringify(challenge)})`);
  }

  /** Whether the browser itself lets a ceremony fail. */
  fails(ceremony, challenge) {
    return this.run(`await ${ceremony}(${JSON.stringify(challenge)}).then(() => null, (e) => e.name)`);
  }

  async challenge() {
    this.token = undefined;
    return this.call("POST", "/auth", { email: this.email });
  }

  async logIn() {
    const challenge = await this.challenge();
    const body = { ceremonyId: challenge.ceremonyId, credential: await this.get(challenge) };
    this.token = (await this.call("POST", "/auth/authenticate-complete", body)).token;
    return body;
  }

  async credentials(authenticatorId = this.authenticator) {
    return (await this.cdp.send("WebAuthn.getCredentials", { authenticatorId })).credentials;
  }
}

async function registersByInvitation(panel) {
  const challenge = await panel.call("POST", "/auth/register", { token: given.token });
  const credential = await panel.create(challenge);
  const body = { ceremonyId: challenge.ceremonyId, credential, label: "Laptop" };
  const entered = await panel.call("POST", "/auth/register-complete", body, 201);
  assert.equal(entered.user.globalAdmin, true);
  panel.email = entered.user.email;
  await panel.refused("POST", "/auth/register", { token: given.token }, 404, "invitation_gone");
}

async function signsInOnceForEachChallenge(panel) {
  const body = await panel.logIn();
  assert.equal((await panel.call("GET", "/auth/login/check")).user.email, panel.email);
  panel.token = undefined;
  await panel.refused("POST", "/auth/authenticate-complete", body, 401, "challenge_gone");
  await panel.logIn();
}

async function addsAndRemovesAPasskey(panel) {
  const [{ id: first }] = (await panel.call("GET", "/profile/passkeys")).passkeys;
  await panel.refused("DELETE", `/profile/passkeys/${first}`, undefined, 409, "last_passkey");
  let challenge = await panel.call("POST", "/profile/passkeys", {});
  assert.equal(await panel.fails("create", challenge), "InvalidStateError", "the authenticator has one already");
  const key = await panel.plugIn("usb");
  challenge = await panel.call("POST", "/profile/passkeys", {});
  // With the laptop's away, which would refuse on behalf of both.
  await panel.cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId: panel.authenticator, enabled: false });
  const body = { ceremonyId: challenge.ceremonyId, credential: await panel.create(challenge), label: "Key ring" };
  await panel.cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId: panel.authenticator, enabled: true });
  const added = await panel.call("POST", "/profile/passkeys/complete", body, 201);
  assert.equal((await panel.credentials(key)).length, 1);
  assert.equal((await panel.call("GET", "/profile/passkeys")).total, 2);
  await panel.call("DELETE", `/profile/passkeys/${added.id}`);
  await panel.cdp.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId: key });
  await panel.refused("DELETE", `/profile/passkeys/${first}`, undefined, 409, "last_passkey");
}

async function staysSignedInByItsCookie(panel) {
  const cookies = (await panel.context.cookies()).filter((cookie) => cookie.name === "__Host-pg_refresh");
  assert.equal(cookies.length, 1, "kept on localhost");
  const [{ httpOnly, secure, sameSite, path }] = cookies;
  assert.deepEqual({ httpOnly, secure, sameSite, path }, { httpOnly: true, secure: true, sameSite: "Strict", path: "/" });
  const before = panel.token;
  panel.token = undefined;
  const refreshed = await panel.call("POST", "/auth/refresh-token", { mode: "live" });
  assert.notEqual(refreshed.token, before);
  panel.token = refreshed.token;
  assert.equal((await panel.call("GET", "/auth/login/check")).mode, "live");
}

async function refusesCopiesAndRelays(panel) {
  const authenticatorId = panel.authenticator;
  const [credential] = await panel.credentials();
  const again = async (signCount) => {
    await panel.cdp.send("WebAuthn.removeCredential", { authenticatorId, credentialId: credential.credentialId });
    await panel.cdp.send("WebAuthn.addCredential", { authenticatorId, credential: { ...credential, signCount } });
  };
  const complete = async (challenge, signed, code) => {
    const body = { ceremonyId: challenge.ceremonyId, credential: signed };
    await panel.refused("POST", "/auth/authenticate-complete", body, 401, code);
  };
  // A copy has the key, and the counter of when it was made.
  await again(0);
  let challenge = await panel.challenge();
  await complete(challenge, await panel.get(challenge), "passkey_cloned");
  await again(credential.signCount + 100);
  // A page of another origin passes a challenge on.
  challenge = await panel.challenge();
  await panel.page.goto(RELAY);
  const relayed = await panel.get(challenge);
  await panel.page.goto(PANEL);
  await complete(challenge, relayed, "passkey_refused");
  // The browser does not even ask somebody who cannot be verified.
  await panel.cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  challenge = await panel.challenge();
  assert.equal(await panel.fails("get", challenge), "NotAllowedError");
  await panel.cdp.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
  await panel.logIn();
}

async function isSignedOutAtOnce(panel) {
  await panel.call("POST", "/auth/logout", {});
  await panel.refused("GET", "/auth/login/check", undefined, 401, "unauthenticated");
  const left = (await panel.context.cookies()).map((cookie) => cookie.name);
  assert.ok(!left.includes("__Host-pg_refresh"), `${left}`);
  panel.token = undefined;
  await panel.refused("POST", "/auth/refresh-token", {}, 401, "session_ended");
}

/** Another site's page: its browser neither sends the cookie nor lets it read an answer, and the gateway refuses. */
async function anotherSiteRefreshesNothing(panel) {
  await panel.logIn();
  const foreign = await fetch(`${api}/auth/refresh-token`, {
    method: "POST",
    headers: { "content-type": "application/json", origin: "https://evil.example" },
    body: "{}",
  });
  assert.equal((await foreign.json()).code, "origin_not_allowed");
  await panel.page.goto(RELAY);
  const sent = `fetch(${JSON.stringify(`${api}/auth/refresh-token`)}, { method: "POST", credentials: "include", body: "{}" })`;
  assert.equal(await panel.run(`await ${sent}.then(() => "read", (e) => e.name)`), "TypeError");
  await panel.page.goto(PANEL);
  panel.token = undefined;
  await panel.call("POST", "/auth/refresh-token", {});
}

const STEPS = [
  registersByInvitation,
  signsInOnceForEachChallenge,
  addsAndRemovesAPasskey,
  staysSignedInByItsCookie,
  refusesCopiesAndRelays,
  isSignedOutAtOnce,
  anotherSiteRefreshesNothing,
];

async function main() {
  for (const name of ["admin", "token"]) assert.ok(given[name], `--${name} is missing`);
  const browser = await launch();
  const panel = await Panel.come(browser);
  for (const step of STEPS) {
    await step(panel);
    console.log(`ok ${step.name}`);
  }
  await browser.close();
  console.log(`${STEPS.length} steps done`);
}

main().catch((error) => {
  console.error(error.stack);
  process.exit(1);
});
