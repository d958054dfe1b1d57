// Doubles, other sites, and what a payer could change in the form: always one payment, of what was asked.
"use strict";

const assert = require("node:assert/strict");
const { Payer, CARDS, DEBITS } = require("../payer.js");
const { PAGE } = require("../gate.js");

const field = (name, value) => `<input name=${name} value="${value}">`;

/** The form of a page as somebody else would write it. */
const forged = (action, form) =>
  PAGE("Forged") +
  `<form id=f method=post action="${action}">${field("attempt", form)}${field("method", "card")}${field("number", CARDS.good)}` +
  `${field("expiry", "12/34")}${field("code", "123")}${field("name", "Mallory")}</form><script>f.submit()</script>`;

module.exports = {
  async a_double_click_pays_once(world) {
    const { gate } = world;
    for (const javaScriptEnabled of [true, false]) {
      const purchase = await gate.purchase();
      const payer = await Payer.come(world, { javaScriptEnabled });
      await payer.goto(purchase);
      await payer.fillCard(CARDS.good);
      const box = await payer.page.locator("#pay button").boundingBox();
      await payer.page.mouse.click(box.x + box.width / 2, box.y + box.height / 2, { clickCount: 2, delay: 20 });
      await payer.sees("Payment received");
      // Without scripts the browser may send it twice; the second finds the first.
      if (javaScriptEnabled) assert.equal(payer.posts.length, 1);
      await payer.leave();
      await gate.expect(purchase, "success", { tries: 1, paid: 1 });
    }
  },

  async two_tabs_pay_once(world) {
    const { gate } = world;
    const purchase = await gate.purchase();
    const first = await Payer.come(world);
    const second = await first.tab();
    for (const tab of [first, second]) {
      await tab.goto(purchase);
      await tab.fillCard(CARDS.good);
    }
    await Promise.all([first, second].map((tab) => tab.run(`document.querySelector("#pay button").click()`)));
    await Promise.all([first, second].map((tab) => tab.sees("Payment received")));
    assert.equal(first.posts.length, 2, "both were sent");
    await first.leave();
    await gate.expect(purchase, "success", { tries: 1, paid: 1 });
  },

  async going_back_and_paying_again_pays_once(world) {
    const { gate } = world;
    const purchase = await gate.purchase();
    const payer = await Payer.come(world);
    await payer.goto(purchase);
    // As the browser's memory would bring it back: the same form, sent once more.
    const form = await payer.page.inputValue("#pay input[name=attempt]");
    await payer.payByCard(CARDS.good);
    await payer.sees("Payment received");
    await payer.page.goBack();
    await payer.page.waitForLoadState();
    assert.equal(await payer.page.$("#pay"), null, "there is nothing to pay any more");
    await payer.page.goto(purchase.url);
    await payer.sees("Payment received");
    const page = await fetch(purchase.url, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ attempt: form, method: "card", number: CARDS.good, expiry: "12/34", code: "123", name: "Jane" }),
    });
    assert.match(await page.text(), /Payment received/);
    await payer.leave();
    await gate.expect(purchase, "success", { tries: 1, paid: 1 });
  },

  async reloading_the_result_pays_once(world) {
    const { gate } = world;
    for (const [card, status, paid] of [[CARDS.good, "success", 1], [CARDS.declined, "processing", 0]]) {
      const purchase = await gate.purchase();
      const payer = await Payer.come(world);
      await payer.goto(purchase);
      await payer.payByCard(card);
      const shown = paid ? ".icon-success" : "#problems h2";
      for (let times = 0; times < 2; times += 1) {
        await payer.page.waitForSelector(shown);
        await payer.page.reload();
      }
      await payer.page.waitForSelector(shown);
      await payer.leave();
      await gate.expect(purchase, status, { tries: 1, paid });
    }
  },

  async everything_works_without_scripts(world) {
    const { gate } = world;
    const purchase = await gate.purchase();
    const payer = await Payer.come(world, { javaScriptEnabled: false, expects: [/status of 422/] });
    await payer.goto(purchase, "?locale=de");
    assert.ok(!(await payer.page.isVisible("button[value=apple_pay]")), "no dead buttons");
    // The server checks what the script would have, and keeps what was typed but the code.
    await payer.page.click("nav >> text=PayPal");
    await payer.page.click("button[value=paypal]");
    await payer.page.click("button[value=decline]");
    await payer.page.waitForSelector("#problems h2");
    await payer.page.click("nav >> text=Karte");
    await payer.fillCard("4242 4242 4242 4241");
    await payer.page.click("#pay button");
    await payer.page.waitForSelector("#number[aria-invalid]");
    assert.equal(await payer.page.inputValue("#number"), "4242 4242 4242 4241");
    assert.equal(await payer.page.inputValue("#code"), "");
    await payer.payByCard(CARDS.declined);
    await payer.page.waitForSelector("#problems h2");
    await payer.leavesNoNumber({ keptByDecline: true });
    await payer.payByCard(CARDS.challenge);
    await payer.page.click("button[value=success]");
    await payer.page.waitForSelector(".icon-success");
    assert.match(payer.page.url(), /\/payment\//);
    await payer.page.waitForURL(purchase.success, { timeout: 60_000 });
    await payer.leave();
    await gate.expect(purchase, "success", { tries: 3, paid: 1 });

    const debit = await gate.purchase();
    const other = await Payer.come(world, { javaScriptEnabled: false });
    await other.goto(debit, "?method=sepa_debit");
    await other.page.fill("#iban", DEBITS.good);
    await other.page.click("#pay button");
    await other.sees("Payment submitted");
    await other.leavesNoNumber();
    await gate.expect(debit, "success", { tries: 1, paid: 1 });
    const canceled = await gate.purchase();
    await other.goto(canceled);
    await other.page.click(".cancel button");
    await other.sees("Payment canceled");
    await other.leave();
    await gate.expect(canceled, "failed", { tries: 0, paid: 0 });
  },

  async forms_of_other_sites_are_refused(world) {
    const { gate, shop } = world;
    const purchase = await gate.purchase();
    const payer = await Payer.come(world, { expects: [/status of 403/] });
    payer.visiting = new RegExp(`^${shop.elsewhere}/`);
    await payer.goto(purchase);
    const form = await payer.page.inputValue("#pay input[name=attempt]");
    for (const path of ["", "/cancel"]) {
      shop.pages.set(`/forged${path}`, forged(purchase.url + path, form));
      // Another site, and another origin of the same site.
      for (const site of [shop.elsewhere, shop.base]) {
        await payer.page.goto(`${site}/forged${path}`);
        await payer.sees("Not from this page");
      }
    }
    await gate.expect(purchase, "created", { tries: 0, paid: 0 });
    // The page itself goes on.
    await payer.goto(purchase);
    await payer.payByCard(CARDS.good);
    await payer.sees("Payment received");
    await payer.leave();
    await gate.expect(purchase, "success", { tries: 1, paid: 1 });
  },

  async nobody_frames_the_page(world) {
    const { gate, shop } = world;
    const purchase = await gate.purchase();
    const payer = await Payer.come(world, { expects: [/frame-ancestors/, /chrome-error/] });
    for (const site of [shop.base, shop.elsewhere]) {
      payer.visiting = new RegExp(`^${site}/`);
      shop.pages.set("/frame", PAGE("Frame") + `<iframe src="${purchase.url}"></iframe>`);
      const before = payer.said.length;
      await payer.page.goto(`${site}/frame`);
      await gate.until("the frame is refused", async () => payer.said.slice(before), (said) => said.some((line) => /frame-ancestors/.test(line)));
      assert.equal(await payer.page.frames()[1].$("#pay"), null);
    }
    await payer.leave();
    await gate.expect(purchase, "created", { tries: 0, paid: 0 });
  },

  async the_price_is_the_shops(world) {
    const { gate } = world;
    const purchase = await gate.purchase();
    const payer = await Payer.come(world);
    await payer.goto(purchase, "?amount=100&price=1.00&total=100");
    assert.match(await payer.heading(), /€49\.00/);
    await payer.run(`(() => {
      for (const [name, value] of Object.entries({ amount: "100", price: "1.00", total: "100", currency: "USD", surcharge: "0" })) {
        const input = document.createElement("input");
        Object.assign(input, { type: "hidden", name, value });
        document.getElementById("pay").prepend(input);
      }
    })()`);
    await payer.payByCard(CARDS.good);
    await payer.sees("Payment received");
    assert.match(await payer.page.textContent("main"), /€49\.00/);
    await payer.leave();
    const said = await gate.expect(purchase, "success", { tries: 1, paid: 1 });
    assert.deepEqual([said.amount, said.currency], ["49.00", "EUR"]);
  },
};
