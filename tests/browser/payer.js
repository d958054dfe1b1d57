// A payer at the real gateway: one browser context, watched for what no flow may do.
"use strict";

const assert = require("node:assert/strict");
const { HANGS_MS, open } = require("./browser.js");

/** Numbers that flows type, as digits. */
const CARDS = {
  good: "4242424242424242",
  declined: "4000000000000002",
  noFunds: "4000000000009995",
  challenge: "4000000000003220",
};
const DEBITS = { good: "DE89370400440532013000", refused: "DE62370400440532013001" };
const SECRETS = [...Object.values(CARDS), ...Object.values(DEBITS)];

const holdsSecret = (text) => {
  const plain = decodeURIComponent(text).replace(/[ +-]/g, "");
  return SECRETS.some((digits) => plain.includes(digits));
};

class Payer {
  /** `options` are Playwright's for a context; `expects`: what the console may say in this flow. */
  static async come({ browser, gate, shop }, { expects = [], ...options } = {}) {
    const opened = await open(browser, options);
    const payer = new Payer();
    Object.assign(payer, opened, { gate, shop, expects, said: [], foreign: [], urls: [], posts: [] });
    payer.context.on("console", (message) => payer.said.push(message.text()));
    payer.context.on("weberror", (error) => payer.said.push(String(error.error())));
    payer.context.on("request", (request) => payer.note(request));
    payer.context.on("requestfailed", (request) => {
      const why = request.failure()?.errorText;
      // A page that is left in the middle of a request has not failed.
      if (why !== "net::ERR_ABORTED") payer.said.push(`${request.url()} ${why}`);
    });
    await payer.context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`));
    });
    payer.context.setDefaultTimeout(HANGS_MS);
    return payer;
  }

  /** Loads the result once more, which then leaves for the shop by itself. */
  async departsTo(url) {
    this.shop.welcome(url);
    // The page may be leaving already, which ends the reload.
    await this.page.reload().catch(() => {});
    await this.page.waitForURL(url);
  }

  /** Leaves by the button. */
  async goesTo(url) {
    this.shop.welcome(url);
    await this.page.click(".actions a");
    await this.page.waitForURL(url);
  }

  note(request) {
    const url = request.url();
    this.urls.push(url);
    if (request.method() === "POST") this.posts.push(url);
    // To the shop leads a link or the Refresh header: a page of its own, and never a part of ours.
    const leaves = request.isNavigationRequest() && request.frame().parentFrame() === null;
    const known = url.startsWith(this.gate.public) || url.startsWith("data:") || (leaves && url.startsWith(this.shop.base));
    if (!known && !this.visiting?.test(url)) this.foreign.push(url);
  }

  async goto(purchase, query = "") {
    await this.page.goto(`${purchase.url}${query}`);
  }

  /** Another tab of the same browser. */
  async tab() {
    const page = await this.context.newPage();
    const tab = Object.create(this);
    const cdp = await this.context.newCDPSession(page);
    tab.page = page;
    tab.run = async (expression) => (await cdp.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true })).result.value;
    return tab;
  }

  /** Fills in what the form asks for and has not. */
  async fillCard(digits) {
    await this.page.fill("#number", digits);
    await this.page.fill("#expiry", "12 / 34");
    await this.page.fill("#code", "123");
  }

  async payByCard(digits) {
    await this.fillCard(digits);
    await this.page.click("#pay button");
  }

  heading() {
    return this.page.textContent("h1");
  }

  /** Waits for a page with this heading. */
  async sees(heading) {
    await this.page.locator("h1", { hasText: heading }).waitFor();
  }

  /** Nothing that was typed is kept where somebody could find it. */
  async leavesNoNumber({ keptByDecline = false } = {}) {
    assert.deepEqual(this.urls.filter(holdsSecret), [], "in an address");
    const cdp = await this.context.newCDPSession(this.page);
    const { entries } = await cdp.send("Page.getNavigationHistory");
    assert.deepEqual(entries.filter((entry) => holdsSecret(entry.url) || holdsSecret(entry.title)), [], "in the history");
    const kept = await this.run(`JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, history.state, name])`);
    assert.ok(!holdsSecret(kept) && kept === `[{},{},"",null,""]`, `kept by the browser: ${kept}`);
    const values = await this.run(`[...document.querySelectorAll("input")].map((i) => [i.id, i.value])`);
    const found = values.filter(([, value]) => value && holdsSecret(value)).map(([id]) => id);
    assert.deepEqual(found, keptByDecline ? ["number"] : [], "in fields");
    if (values.some(([id]) => id === "code")) assert.equal(values.find(([id]) => id === "code")[1], "", "the security code");
    // The list of test cards names them all.
    const html = await this.run(`(() => {
      const copy = document.documentElement.cloneNode(true);
      copy.querySelectorAll("#tests, input").forEach((e) => e.remove());
      return copy.outerHTML;
    })()`);
    assert.ok(!SECRETS.some((digits) => html.replace(/[ -]/g, "").includes(digits)), "in the page");
  }

  /** Ends the visit: no complaint of the browser's, no request to anybody else. */
  async leave() {
    const unexpected = this.said.filter((line) => !this.expects.some((pattern) => pattern.test(line)));
    assert.deepEqual(unexpected, [], "said on the console");
    assert.deepEqual(this.foreign, [], "asked elsewhere");
    assert.deepEqual(this.urls.filter(holdsSecret), [], "in an address");
    await this.close();
  }
}

module.exports = { Payer, CARDS, DEBITS };
