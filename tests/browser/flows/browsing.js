// What browsers must not do for other sites, and need not do for the payer: run scripts.
"use strict";

const assert = require("node:assert/strict");
const { PAGE } = require("../gate.js");
const { Payer, CARDS, DEBITS } = require("../payer.js");

const field = (name, value) => `<input name=${name} value="${value}">`;

/** The form of a page as somebody else would write it. */
const forged = (action, form) =>
  PAGE("Forged") +
  `<form id=f method=post action="${action}">${field("attempt", form)}${field("method", "card")}${field("number", CARDS.good)}` +
  `${field("expiry", "12/34")}${field("code", "123")}${field("name", "Mallory")}</form><script>f.submit()</script>`;

module.exports = {
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
    // The bank leads back to the language that the payer chose.
    assert.equal(payer.page.url(), `${purchase.url}?locale=de`);
    await payer.departsTo(purchase.success);
    await payer.leave();
    await gate.expect(purchase, "success", { tries: 3, charges: 2, paid: 1 });

    const debit = await gate.purchase();
    const other = await Payer.come(world, { javaScriptEnabled: false });
    await other.goto(debit, "?method=sepa_debit");
    await other.page.fill("#iban", DEBITS.good);
    await other.page.click("#pay button");
    await other.sees("Your payment is on its way");
    await other.leavesNoNumber();
    await gate.expect(debit, "success", { tries: 1, paid: 1 });
    const canceled = await gate.purchase();
    await other.goto(canceled);
    await other.page.click(".cancel button");
    await other.sees("The payment was canceled");
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
    const payer = await Payer.come(world, { expects: [/frame-ancestors/, /ERR_BLOCKED_BY_RESPONSE/] });
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
};
