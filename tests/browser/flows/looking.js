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

/** Stays on a page that would leave for the shop. */
const stay = (payer) => payer.page.route(`${payer.shop.base}/**`, (route) => route.abort());

/** Leads a payer through every kind of page; `look` is called on each with its name. */
async function everyPage(world, payer, locale, look) {
  const { gate } = world;
  const order = { order: ORDER };
  const purchase = await gate.purchase(order);
  const here = `?locale=${locale}`;
  await stay(payer);
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
  return [[purchase, "success", { tries: 3, paid: 1 }], [debit, "success", { tries: 1, paid: 1 }], [left, "failed", { tries: 0, paid: 0 }]];
}

async function lookAt(world, name, options, locale, look) {
  const payer = await Payer.come(world, { reducedMotion: "reduce", expects: [/net::ERR_FAILED/], ...options });
  const purchases = await everyPage(world, payer, locale, async (page) => {
    if (name !== "challenge") await look(payer, page);
  });
  await payer.leave();
  for (const [purchase, status, counts] of purchases) await world.gate.expect(purchase, status, counts);
}

const unfold = `document.querySelectorAll("details").forEach((d) => { d.open = true; })`;

const read = (colorScheme) => (world) =>
  lookAt(world, colorScheme, { colorScheme }, "en", async (payer, page) => {
    await payer.run(unfold);
    assert.deepEqual(await findings(payer.run), [], `${page} ${colorScheme}`);
  });

const narrow = (width, locale) => (world) =>
  lookAt(world, `${width}`, { viewport: { width, height: 800 } }, locale, async (payer, page) => {
    await payer.run(unfold);
    assert.deepEqual(await overflow(payer.run), [], `${page} ${width}`);
    assert.deepEqual(await smallTargets(payer.run), [], `${page} ${width}`);
  });

module.exports = {
  nothing_for_axe_to_find_in_the_light: read("light"),
  nothing_for_axe_to_find_in_the_dark: read("dark"),
  a_telephone_of_390_pixels_fits: narrow(390, "de"),
  a_telephone_of_320_pixels_fits: narrow(320, "en"),

  async right_to_left_in_the_dark(world) {
    await lookAt(world, "rtl", { colorScheme: "dark", viewport: { width: 390, height: 844 } }, "ar", async (payer, page) => {
      // The bank's page is English, whatever the payer reads.
      if (page !== "challenge") assert.equal(await payer.run("document.dir"), "rtl", page);
      await payer.run(unfold);
      assert.deepEqual(await overflow(payer.run), [], page);
      assert.deepEqual(await findings(payer.run), [], page);
    });
  },

  async the_first_view_is_light_and_soon(world) {
    const purchase = await world.gate.purchase();
    const payer = await Payer.come(world);
    const sizes = [];
    payer.page.on("requestfinished", (request) => sizes.push(request.sizes().then((s) => [new URL(request.url()).pathname.split("/")[1], s.responseBodySize + s.responseHeadersSize])));
    const cdp = await payer.context.newCDPSession(payer.page);
    await cdp.send("Emulation.setCPUThrottlingRate", { rate: 4 });
    await payer.page.goto(purchase.url, { waitUntil: "networkidle" });
    const total = (await Promise.all(sizes)).reduce((sum, [, size]) => sum + size, 0);
    assert.ok(sizes.length >= 4, "page, two style sheets, script");
    assert.ok(total < 30_000, `${total} bytes over the wire`);
    const painted = await payer.run(`performance.getEntriesByName("first-contentful-paint")[0]?.startTime`);
    console.log(`first view: ${total} bytes over the wire; first contentful paint ${Math.round(painted)} ms with the CPU slowed down 4 times`);
    await payer.leave();
    await world.gate.expect(purchase, "created", { tries: 0, paid: 0 });
  },

  async pictures_for_people_to_look_at(world) {
    if (!world.pictures) return;
    fs.mkdirSync(world.pictures, { recursive: true });
    for (const width of [390, 1280]) {
      for (const [colorScheme, locale] of [["light", "en"], ["dark", "en"], ["dark", "ar"]]) {
        const options = { colorScheme, viewport: { width, height: 844 } };
        await lookAt(world, "pictures", options, locale, (payer, page) => {
          const file = `${page}-${locale}-${width}-${colorScheme}.png`;
          return payer.page.screenshot({ path: path.join(world.pictures, file), fullPage: true });
        });
      }
    }
  },
};
