// Doubles, and what a payer could change in the form: always one payment, of what was asked.
"use strict";

const assert = require("node:assert/strict");
const { Payer, CARDS } = require("../payer.js");

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
