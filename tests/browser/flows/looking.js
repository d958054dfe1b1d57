// What the pages of real payments look like and weigh: read by axe, on small screens, in the dark, right to left.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { findings, overflow, smallTargets } = require("../browser.js");
const { Payer, CARDS, DEBITS } = require("../payer.js");

const ORDER = [
  { textual: "2 tickets, stalls", price: "39.00", currency: "EUR" },
  { textual: "Programme", price: "10.00", currency: "EUR" },
];

/** Leads a payer through every kind of page; `look` is called on each with its name. */
async function everyPage(world, payer, locale, look) {
  const { gate } = world;
  if (world.pictures) fs.mkdirSync(world.pictures, { recursive: true });
  const order = { order: ORDER };
  const purchase = await gate.purchase(order);
  const here = `?locale=${locale}`;
  for (const method of ["card", "sepa_debit", "paypal"]) {
    await payer.goto(purchase, `${here}&method=${method}`);
    await look(method === "card" ? "form" : method);
  }
  await payer.page.click("button[value=paypal]");
  await payer.page.waitForURL(/\/simulated\//);
  await look("approval");
  await payer.page.click("button[value=decline]");
  await payer.page.waitForSelector("#problems h2");
  await look("paypal-declined");
  await payer.goto(purchase, `${here}&method=card`);
  await payer.payByCard(CARDS.noFunds);
  await payer.page.waitForSelector("#problems h2");
  await look("declined");
  await payer.payByCard(CARDS.challenge);
  await payer.page.waitForURL(/\/3ds\//);
  await look("challenge");
  await payer.goto(purchase, here);
  await look("challenge-waits");
  await payer.page.click(".actions a");
  await payer.page.click("button[value=success]");
  await payer.goto(purchase, here);
  await look("paid");
  const debit = await gate.purchase(order);
  await payer.goto(debit, `${here}&method=sepa_debit`);
  await payer.page.fill("#iban", DEBITS.good);
  await payer.page.click("#pay button");
  await payer.page.waitForSelector(".result");
  await look("submitted");
  const left = await gate.purchase(order);
  await payer.goto(left, here);
  await payer.page.click(".cancel button");
  await payer.page.waitForSelector(".result");
  await look("canceled");
  return [[purchase, "success", { tries: 3, charges: 2, paid: 1 }], [debit, "success", { tries: 1, paid: 1 }], [left, "failed", { tries: 0, paid: 0 }]];
}

const unfold = `document.querySelectorAll("details").forEach((d) => { d.open = true; })`;

/** Each page at the widths of a desk and of two telephones, read in both colour schemes. */
async function look(world, payer, page, name) {
  const shoot = async (width, colorScheme) => {
    const file = path.join(world.pictures, `${name}-${width}-${colorScheme}.png`);
    await payer.page.screenshot({ path: file, fullPage: true });
  };
  for (const colorScheme of ["light", "dark"]) {
    await payer.page.emulateMedia({ colorScheme });
    for (const width of [1280, 390]) {
      await payer.page.setViewportSize({ width, height: 844 });
      if (world.pictures) await shoot(width, colorScheme);
    }
  }
  await payer.run(unfold);
  for (const width of [390, 320]) {
    await payer.page.setViewportSize({ width, height: 844 });
    assert.deepEqual(await overflow(payer.run), [], `${name} ${width}`);
    assert.deepEqual(await smallTargets(payer.run), [], `${name} ${width}`);
  }
  for (const colorScheme of ["light", "dark"]) {
    await payer.page.emulateMedia({ colorScheme });
    assert.deepEqual(await findings(payer.run), [], `${name} ${colorScheme}`);
  }
  // The bank's page is English, whatever the payer reads.
  if (page !== "challenge") assert.equal(await payer.run("document.dir"), payer.direction, name);
}

const walk = (locale, direction) => async (world) => {
  const payer = await Payer.come(world, { reducedMotion: "reduce" });
  payer.direction = direction;
  const purchases = await everyPage(world, payer, locale, (page) => look(world, payer, page, `${page}-${locale}`));
  await payer.leave();
  for (const [purchase, status, counts] of purchases) await world.gate.expect(purchase, status, counts);
};

module.exports = {
  every_page_in_english: walk("en", "ltr"),
  every_page_from_right_to_left: walk("ar", "rtl"),
};
