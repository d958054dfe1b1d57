// The shop's side of a flow: signs requests, asks how a purchase stands, and serves the pages that payers go back to.
"use strict";

const assert = require("node:assert/strict");
const { createHmac, randomUUID } = require("node:crypto");
const http = require("node:http");

/** PHP's serialize() of a sorted body; texts are trimmed and their white space folded. */
function canonical(value) {
  if (typeof value === "number") return `i:${value};`;
  if (typeof value === "string") {
    const folded = value.trim().replace(/[ \t\n\v\f\r]+/g, "+");
    return `s:${Buffer.byteLength(folded)}:"${folded}";`;
  }
  // Lists are sorted by their keys as texts: 0, 1, 10, 2.
  const keys = Object.keys(value).sort();
  const name = (key) => (/^(0|[1-9]\d*)$/.test(key) ? `i:${key};` : `s:${Buffer.byteLength(key)}:"${key}";`);
  return `a:${keys.length}:{${keys.map((key) => name(key) + canonical(value[key])).join("")}}`;
}

const sign = (body, secret) => createHmac("sha512", secret).update(canonical(body)).digest("hex");

const PAGE = (title) =>
  `<!doctype html><html lang=en><title>${title}</title><link rel=icon href=data:,><meta name=viewport content="width=device-width"><h1>${title}</h1>`;

/** A shop on loopback. `pages` are served at their paths. Payers who come back stay where they are until they are
 * welcome: results leave by themselves, and a slow machine must have looked at them before. */
async function openShop() {
  const pages = new Map();
  const welcome = new Set();
  const server = http.createServer((request, answer) => {
    if (!pages.has(request.url) && !welcome.has(request.url)) {
      answer.writeHead(204).end();
      return;
    }
    answer.writeHead(200, { "content-type": "text/html" });
    answer.end(pages.get(request.url) || PAGE("The shop"));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  // Another site than the gateway's, whose host is 127.0.0.1: browsers judge forms and frames by that.
  const { port } = server.address();
  const close = () => new Promise((resolve) => server.close(resolve));
  return { base: `http://127.0.0.1:${port}`, elsewhere: `http://localhost:${port}`, pages, welcome: (url) => welcome.add(new URL(url).pathname), close };
}

/** Asks until an answer fits, with a bound. */
async function until(what, ask, fits) {
  const begun = Date.now();
  for (;;) {
    const answer = await ask();
    if (fits(answer)) return answer;
    assert.ok(Date.now() - begun < 60_000, `never: ${what}; last ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

class Gate {
  constructor({ api, key, service, secret, shop }) {
    Object.assign(this, { api, key, service: Number(service), secret, shop });
  }

  async signed(path, body) {
    body.meta.signature = sign(body, this.secret);
    const answer = await fetch(this.api + path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    const said = await answer.json();
    assert.ok(answer.ok, `${path}: ${JSON.stringify(said)}`);
    return said.data;
  }

  /** REST v2. */
  async rest(method, path, form) {
    const answer = await fetch(`${this.api}/v2${path}`, {
      method,
      headers: { authorization: `Bearer ${this.key}`, "content-type": "application/x-www-form-urlencoded" },
      body: form && new URLSearchParams(form),
    });
    const said = await answer.json();
    assert.ok(answer.ok, `${path}: ${JSON.stringify(said)}`);
    return said;
  }

  /** A purchase with a payer of its own; `more` is merged into the request's members. */
  async purchase(more = {}) {
    const id = `order-${randomUUID().slice(0, 8)}`;
    const email = more.user?.email || `${id}@payer.example`;
    const back = (way) => `${this.shop.base}/${way}/${id}`;
    const body = {
      meta: { service_id: this.service, payment_id: id },
      payment: { price: "49.00", currency: "EUR", ...more.payment },
      user: { first_name: "Jane", last_name: "Example", country: "DE", language: "en", ...more.user, email },
      redirect: { success_url: back("success"), fail_url: back("fail"), return_url: back("return") },
      order: more.order || [{ textual: "2 tickets, stalls", price: "49.00", currency: "EUR" }],
    };
    const made = await this.signed("/api/transaction/purchase/create", body);
    return { id, email, uuid: made.uuid, url: made.redirect_url, success: back("success"), fail: back("fail"), back: back("return") };
  }

  /** A customer who lives by a test clock, before any purchase is theirs. */
  async payerWithClock() {
    const email = `clock-${randomUUID().slice(0, 8)}@payer.example`;
    const now = Math.floor(Date.now() / 1000);
    const clock = await this.rest("POST", "/test_helpers/test_clocks", { frozen_time: now });
    await this.rest("POST", "/customers", { email, name: "Jane Example", test_clock: clock.id });
    const advance = async (seconds) => {
      await this.rest("POST", `/test_helpers/test_clocks/${clock.id}/advance`, { frozen_time: now + seconds });
      await until("the clock is ready", () => this.rest("GET", `/test_helpers/test_clocks/${clock.id}`), (c) => c.status === "ready");
    };
    return { email, advance };
  }

  status(purchase) {
    return this.signed("/api/transaction/status", { meta: { transaction_uuid: purchase.uuid } });
  }

  /** The payment behind a purchase and how often it was charged, over REST v2. */
  async payment(purchase) {
    const customers = await this.rest("GET", `/customers?email=${encodeURIComponent(purchase.email)}`);
    const payments = await this.rest("GET", `/payment_intents?customer=${customers.data[0].id}`);
    assert.equal(payments.data.length, 1, "one payment for each purchase");
    const payment = payments.data[0];
    const charges = await this.rest("GET", `/charges?payment_intent=${payment.id}`);
    return { ...payment, charges: charges.data.length, paid: charges.data.filter((charge) => charge.paid).length };
  }

  /** Waits for Gate's status, and compares what both surfaces tell of it. A try is an operation of Gate's; one that
   * never came to a charge, such as a challenge that was not answered, is no charge of REST v2's. */
  async expect(purchase, status, { tries, paid, charges = tries }) {
    const said = await until(`${purchase.id} is ${status}`, () => this.status(purchase), (t) => t.status === status);
    const payment = await this.payment(purchase);
    const begun = said.operations.filter((o) => o.type === "sale" && o.payment_system_transaction_id !== "").length;
    const found = { tries: begun, charges: payment.charges, paid: payment.paid };
    assert.deepEqual(found, { tries, charges, paid }, `${purchase.id}: ${payment.status}`);
    assert.equal(payment.amount_received, paid ? 4900 : 0, purchase.id);
    assert.equal(payment.status === "succeeded", status === "success", `${purchase.id}: ${payment.status}, ${status}`);
    return said;
  }
}

module.exports = { Gate, openShop, until, PAGE };
