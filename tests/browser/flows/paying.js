// Each way to pay, and each way in which it ends.
"use strict";

const assert = require("node:assert/strict");
const { Payer, CARDS, DEBITS } = require("../payer.js");

module.exports = {
  async a_card_pays_and_the_page_leaves_by_itself(world) {
    const { gate } = world;
    const purchase = await gate.purchase();
    const payer = await Payer.come(world);
    await payer.goto(purchase);
    assert.match(await payer.heading(), /Demo shop.*€49\.00/s);
    await payer.page.type("#number", CARDS.good);
    await payer.page.type("#expiry", "1234");
    await payer.page.type("#code", "123");
    await payer.page.keyboard.press("Enter");
    await payer.sees("Payment received");
    await payer.leavesNoNumber();
    await gate.expect(purchase, "success", { tries: 1, paid: 1 });
    await payer.departsTo(purchase.success);
    // The shop hears nothing of the page's address, which is its only credential.
    assert.equal(await payer.run("document.referrer"), "");
    // Back from the shop there is the result, and nothing is sent again.
    const sent = payer.posts.length;
    await payer.page.goBack();
    await payer.sees("Payment received");
    assert.equal(payer.posts.length, sent, "going back sends nothing");
    await payer.leave();
    await gate.expect(purchase, "success", { tries: 1, paid: 1 });
  },

  async a_decline_keeps_the_form_and_the_next_card_pays(world) {
    const { gate } = world;
    const purchase = await gate.purchase();
    const payer = await Payer.come(world, { expects: [/status of 422/] });
    await payer.goto(purchase);
    await payer.payByCard(CARDS.noFunds);
    await payer.page.waitForSelector("#problems h2");
    assert.match(await payer.page.textContent("#problems"), /There is not enough money on this card. You have not been charged/);
    assert.match(await payer.page.textContent("#problems"), /Attempts left: .?4/);
    await payer.leavesNoNumber({ keptByDecline: true });
    await gate.expect(purchase, "processing", { tries: 1, paid: 0 });
    // What the server finds is told at the field, and is no try.
    await payer.payByCard("4242424242424242".replace(/42$/, "59"));
    await payer.page.waitForSelector("#number[aria-invalid]");
    await gate.expect(purchase, "processing", { tries: 1, paid: 0 });
    // In test mode a card that is none of the sandbox's is told so.
    await payer.payByCard("4539148803436467");
    await payer.page.waitForSelector("#problems:has-text('Test mode. No real money moves. Use one of these numbers')");
    await payer.page.waitForSelector("#tests .pick >> text=4242 4242 4242 4242");
    await gate.expect(purchase, "processing", { tries: 1, paid: 0 });
    await payer.payByCard(CARDS.good);
    await payer.sees("Payment received");
    await payer.leavesNoNumber();
    await payer.goesTo(purchase.success);
    await payer.leave();
    await gate.expect(purchase, "success", { tries: 2, paid: 1 });
  },

  async a_challenge_is_failed_left_and_passed(world) {
    const { gate } = world;
    const purchase = await gate.purchase();
    const payer = await Payer.come(world);
    await payer.goto(purchase);
    for (const [outcome, said] of [["fail", /could not confirm it is you/], ["abandon", /You closed the confirmation/]]) {
      await payer.payByCard(CARDS.challenge);
      await payer.sees("Confirm your payment");
      await gate.expect(purchase, "processing", { tries: outcome === "fail" ? 1 : 2, charges: 0, paid: 0 });
      await payer.page.click(`button[value=${outcome}]`);
      await payer.page.waitForSelector("#problems h2");
      assert.ok(payer.page.url().startsWith(purchase.url), payer.page.url());
      assert.match(await payer.page.textContent("#problems"), said);
      await payer.leavesNoNumber();
    }
    await payer.payByCard(CARDS.challenge);
    await payer.sees("Confirm your payment");
    const challenge = payer.page.url();
    // Whoever left the bank's page and opens the shop's link again is led back to the bank.
    await payer.goto(purchase);
    await payer.page.click(".actions a");
    await payer.page.waitForURL(challenge);
    await payer.page.click("button[value=success]");
    await payer.sees("Payment received");
    await payer.leavesNoNumber();
    // The bank's address, opened again, asks nothing.
    await payer.page.goto(challenge);
    await payer.sees("Payment received");
    await payer.leave();
    await gate.expect(purchase, "success", { tries: 3, charges: 1, paid: 1 });
  },

  async a_bank_debit_is_handed_in_and_settles(world) {
    const { gate } = world;
    const purchase = await gate.purchase();
    const payer = await Payer.come(world, { locale: "en" });
    await payer.goto(purchase);
    await payer.page.click("nav >> text=Bank account");
    assert.match(await payer.page.textContent(".mandate"), /Demo shop/);
    // The merchant has no creditor identifier, so there is no line for it.
    assert.equal(await payer.run(`[...document.querySelectorAll(".mandate dd")].filter((d) => !d.textContent.trim()).length`), 0);
    await payer.page.fill("#iban", DEBITS.good);
    await payer.page.click("#pay button");
    await payer.sees("Your payment is on its way");
    await payer.leavesNoNumber();
    // A reload might find it settled.
    await payer.goesTo(purchase.back);
    await gate.expect(purchase, "success", { tries: 1, paid: 1 });
    await payer.goto(purchase);
    await payer.sees("Payment received");
    await payer.leave();

    const refused = await gate.purchase();
    const other = await Payer.come(world);
    await other.goto(refused, "?method=sepa_debit");
    await other.page.fill("#iban", DEBITS.refused);
    await other.page.click("#pay button");
    await other.sees("Your payment is on its way");
    await gate.until("the bank says no", () => gate.payment(refused), (p) => p.status === "requires_payment_method");
    await other.goto(refused);
    await other.page.waitForSelector("#problems h2");
    await other.leavesNoNumber();
    await other.leave();
    await gate.expect(refused, "processing", { tries: 1, paid: 0 });
  },

  async paypal_is_declined_left_and_approved(world) {
    const { gate } = world;
    const purchase = await gate.purchase();
    const payer = await Payer.come(world);
    await payer.goto(purchase);
    await payer.page.click("nav >> text=PayPal");
    for (const outcome of ["decline", "leave", "approve"]) {
      await payer.page.click("button[value=paypal]");
      await payer.page.waitForURL(/\/simulated\//);
      await payer.page.click(`button[value=${outcome}]`);
      if (outcome !== "approve") await payer.page.waitForSelector("#problems h2");
    }
    await payer.sees("Payment received");
    await payer.leave();
    await gate.expect(purchase, "success", { tries: 3, charges: 1, paid: 1 });
  },

  async simulated_wallets_pay(world) {
    const { gate } = world;
    for (const wallet of ["apple_pay", "google_pay"]) {
      const purchase = await gate.purchase();
      const payer = await Payer.come(world);
      await payer.goto(purchase);
      await payer.page.click(`button[value=${wallet}]`);
      await payer.sees("Payment received");
      await payer.leave();
      await gate.expect(purchase, "success", { tries: 1, paid: 1 });
    }
  },

  async tries_are_used_up(world) {
    const { gate } = world;
    const purchase = await gate.purchase();
    const payer = await Payer.come(world);
    await payer.goto(purchase);
    for (let left = 4; left > 0; left -= 1) {
      await payer.payByCard(CARDS.declined);
      await payer.page.waitForSelector(`#problems >> text=/Attempts left: .?${left}/`);
    }
    await payer.payByCard(CARDS.declined);
    await payer.sees("The payment failed");
    await payer.leavesNoNumber();
    await payer.departsTo(purchase.fail);
    await payer.goto(purchase);
    await payer.sees("The payment failed");
    await payer.leave();
    await gate.expect(purchase, "failed", { tries: 5, paid: 0 });
  },

  async canceling_is_a_click_and_not_a_link(world) {
    const { gate } = world;
    const purchase = await gate.purchase();
    const payer = await Payer.come(world, { expects: [/status of 405/] });
    await payer.page.goto(`${purchase.url}/cancel`);
    await payer.sees("Not possible here");
    await gate.expect(purchase, "created", { tries: 0, paid: 0 });
    await payer.goto(purchase);
    await payer.page.click(".cancel button");
    await payer.sees("The payment was canceled");
    await payer.goesTo(purchase.fail);
    await payer.leave();
    await gate.expect(purchase, "failed", { tries: 0, paid: 0 });
  },

  async time_runs_out(world) {
    const { gate } = world;
    const { email, advance } = await gate.payerWithClock();
    const purchase = await gate.purchase({ user: { email } });
    const payer = await Payer.come(world);
    await payer.goto(purchase);
    await payer.fillCard(CARDS.good);
    await advance(366 * 86_400);
    // The form was open all the while.
    await payer.page.click("#pay button");
    await payer.sees("This payment page has expired");
    await payer.leavesNoNumber();
    await payer.departsTo(purchase.fail);
    await payer.leave();
    await gate.expect(purchase, "expired", { tries: 0, paid: 0 });
  },

  async a_paid_link_says_so_and_stays(world) {
    const { gate } = world;
    const { email, advance } = await gate.payerWithClock();
    const purchase = await gate.purchase({ user: { email } });
    const payer = await Payer.come(world);
    await payer.goto(purchase);
    await payer.payByCard(CARDS.good);
    await payer.sees("Payment received");
    await advance(11 * 60);
    await payer.goto(purchase);
    await payer.sees("This order is already paid");
    assert.equal(await payer.page.getAttribute(".actions a", "href"), purchase.success);
    await payer.leave();
    await gate.expect(purchase, "success", { tries: 1, paid: 1 });
  },
};
