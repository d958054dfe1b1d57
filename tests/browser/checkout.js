// The payment page in a browser: looks, keys, doubles, without scripts. Against the samples that
// crates/pages/examples/preview serves: node checkout.js --base http://127.0.0.1:PORT [--pictures DIR] [NAME...]
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { parseArgs } = require("node:util");
const { launch, open, findings, overflow, smallTargets } = require("./browser.js");

const { values: given, positionals: chosen } = parseArgs({
  options: { base: { type: "string" }, pictures: { type: "string" } },
  allowPositionals: true,
});
const base = given.base;

const FORMS = ["card", "sepa", "paypal", "plain", "long", "expiring", "problems", "sepa-problems", "declined", "no-method"];
const RESULTS = ["processing", "challenge", "submitted", "succeeded", "already-paid", "failed", "expired", "canceled", "nowhere-to-go", "simulated"];
const LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pl", "pt", "cs", "lv", "ar", "he"];

/** Result pages leave for the merchant after five seconds, who is not there. */
const stay = (page) => page.route(/shop\.example/, (route) => route.abort());

const posts = async () => Number(await (await fetch(`${base}/posts`)).text());

/** Waits for a condition in the page, with a bound. */
async function until(run, expression) {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await run(expression).catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`never: ${expression}`);
}

const text = (id) => `document.getElementById(${JSON.stringify(id)}).textContent`;
const value = (id) => `document.getElementById(${JSON.stringify(id)}).value`;

const tests = {
  async every_state_is_accessible_in_both_themes_and_directions(browser) {
    for (const colorScheme of ["light", "dark"]) {
      const { page, run, quiet, close } = await open(browser, { colorScheme, reducedMotion: "reduce" });
      await stay(page);
      for (const name of [...FORMS, ...RESULTS]) {
        for (const locale of ["en", "ar"]) {
          await page.goto(`${base}/${name}?locale=${locale}`);
          await run(`document.querySelectorAll("details").forEach((d) => { d.open = true; })`);
          assert.deepEqual(await findings(run), [], `${name} ${locale} ${colorScheme}`);
        }
        quiet(name);
      }
      await close();
    }
  },

  async every_language_fits_a_small_telephone(browser) {
    const { page, run, quiet, close } = await open(browser, { viewport: { width: 320, height: 700 }, reducedMotion: "reduce" });
    await stay(page);
    for (const name of [...FORMS, ...RESULTS]) {
      for (const locale of LANGUAGES) {
        await page.goto(`${base}/${name}?locale=${locale}`);
        await run(`document.querySelectorAll("details").forEach((d) => { d.open = true; })`);
        assert.deepEqual(await overflow(run), [], `${name} ${locale}`);
        assert.deepEqual(await smallTargets(run), [], `${name} ${locale}`);
      }
    }
    quiet("320 pixels");
    await close();
  },

  async typing_groups_and_keeps_the_caret(browser) {
    const { page, run, quiet, close } = await open(browser);
    await page.goto(`${base}/card`);
    const type = async (id, keys) => {
      await page.fill(`#${id}`, "");
      await page.type(`#${id}`, keys);
      return run(value(id));
    };
    for (const [digits, shown, brand] of [
      ["4242424242424242", "4242 4242 4242 4242", "visa"],
      ["5555555555554444", "5555 5555 5555 4444", "mastercard"],
      ["2223003122003222", "2223 0031 2200 3222", "mastercard"],
      ["378282246310005", "3782 822463 10005", "amex"],
      ["36227206271667", "3622 720627 1667", "diners"],
      ["6011111111111117", "6011 1111 1111 1117", "discover"],
      ["3566002020360505", "3566 0020 2036 0505", "jcb"],
      ["6200000000000005", "6200 0000 0000 0005", "unionpay"],
      ["6759649826438453", "6759 6498 2643 8453", "maestro"],
      ["6205500000000000004", "6205 5000 0000 0000 004", "unionpay"],
    ]) {
      assert.equal(await type("number", digits), shown);
      assert.equal(await run(`document.getElementById("brands").dataset.brand`), brand);
      assert.ok(await run(`getComputedStyle(document.querySelector(".brand-${brand}")).display === "block"`), brand);
    }
    // A digit in the middle, and one deleted there, leave the caret where the payer works.
    await type("number", "4242424242424242");
    await run(`document.getElementById("number").setSelectionRange(7, 7)`);
    await page.keyboard.press("Backspace");
    assert.equal(await run(value("number")), "4242 4424 2424 242");
    assert.equal(await run(`document.getElementById("number").selectionStart`), 6);
    await page.keyboard.type("2");
    assert.equal(await run(value("number")), "4242 4242 4242 4242");
    assert.equal(await run(`document.getElementById("number").selectionStart`), 7);
    // Pasted with other separators.
    await page.fill("#number", "4242-4242-4242-4242");
    assert.equal(await run(value("number")), "4242 4242 4242 4242");
    for (const [keys, shown] of [["1234", "12 / 34"], ["134", "13 / 4"], ["927", "09 / 27"], ["1/27", "01 / 27"], ["12/2034", "12 / 34"]]) {
      assert.equal(await type("expiry", keys), shown, keys);
    }
    // All of it can be deleted again.
    await run(`document.getElementById("expiry").focus()`);
    for (let key = 0; key < 9; key += 1) await page.keyboard.press("Backspace");
    assert.equal(await run(value("expiry")), "");
    assert.equal(await type("code", "12x345"), "1234");
    await page.goto(`${base}/sepa`);
    assert.equal(await type("iban", "de89370400440532013000"), "DE89 3704 0044 0532 0130 00");
    quiet("typing");
    await close();
  },

  async errors_come_with_submit_and_go_with_typing(browser) {
    const { page, run, quiet, close } = await open(browser);
    await page.goto(`${base}/card`);
    const before = await posts();
    await page.fill("#name", "");
    await page.focus("#number");
    await page.focus("#expiry");
    assert.equal(await run(text("number-error")), "", "nothing is said when a field is left");
    await page.click("#pay button");
    const expected = { number: "Enter your card number", expiry: "Enter the expiry date as MM / YY", code: "Enter the 3-digit security code (back of the card)", name: "Enter the name as it is on the card or account" };
    for (const [id, said] of Object.entries(expected)) {
      assert.equal(await run(text(`${id}-error`)), said);
      assert.equal(await run(`document.getElementById("${id}").getAttribute("aria-invalid")`), "true");
    }
    assert.equal(await run(`document.activeElement.id`), "problems");
    assert.equal(await run(`document.querySelectorAll("#problems a").length`), 4);
    assert.deepEqual(await findings(run), [], "with errors");
    await page.click("#problems a");
    assert.equal(await run(`document.activeElement.id`), "number");
    await page.type("#number", "4");
    assert.equal(await run(text("number-error")), "");
    for (const [id, typed, said] of [
      ["number", "42424242", "Your card number is incomplete"],
      ["number", "4242424242424241", "Check your card number. One of the digits looks wrong"],
      ["expiry", "1334", "The month must be between 01 and 12"],
      ["expiry", "0120", "This card has expired. Use another card"],
    ]) {
      await page.fill(`#${id}`, "");
      await page.type(`#${id}`, typed);
      await page.keyboard.press("Enter");
      assert.equal(await run(text(`${id}-error`)), said, typed);
    }
    await page.fill("#number", "378282246310005");
    await page.fill("#code", "123");
    await page.keyboard.press("Enter");
    assert.equal(await run(text("code-error")), "Enter the 4-digit security code (front of the card)");
    await page.goto(`${base}/sepa`);
    await page.fill("#iban", "DE88370400440532013000");
    await page.keyboard.press("Enter");
    assert.equal(await run(text("iban-error")), "Check your IBAN. One of the characters looks wrong");
    assert.equal(await posts(), before, "nothing was sent");
    // What the server found is read out first.
    await page.goto(`${base}/problems`);
    await until(run, `document.activeElement.id === "problems"`);
    quiet("errors");
    await close();
  },

  async a_payment_is_sent_once(browser) {
    for (const how of ["double click", "again while it waits", "keys"]) {
      const { page, quiet, close } = await open(browser);
      await page.goto(`${base}/card`);
      await page.click("#tests summary");
      await page.click("button.pick");
      const box = await page.locator("#pay button.button-primary").boundingBox();
      const cancel = await page.locator(".cancel button").boundingBox();
      const before = await posts();
      const sent = [];
      let begun, letGo;
      const first = new Promise((resolve) => { begun = resolve; });
      const held = new Promise((resolve) => { letGo = resolve; });
      await page.route(/\/payment\//, async (route) => {
        if (route.request().method() === "POST") {
          sent.push(route.request().url());
          begun();
          await held;
        }
        await route.continue().catch(() => {});
      });
      // By position: Playwright would wait for the page that is on its way before it looks for a button.
      const click = (where, options) => page.mouse.click(where.x + where.width / 2, where.y + where.height / 2, options);
      if (how === "keys") await page.keyboard.press("Enter");
      else await click(box, { clickCount: how === "double click" ? 2 : 1 });
      await first;
      if (how === "again while it waits") {
        await click(box);
        await click(cancel);
      } else if (how === "keys") {
        await page.keyboard.press("Enter");
        await page.keyboard.press("Space");
      }
      letGo();
      await page.waitForSelector("#live, .icon-success");
      assert.equal(sent.length, 1, `${how}: ${sent}`);
      assert.equal(await posts(), before + 1, how);
      quiet(how);
      await close();
    }
  },

  async a_second_submit_is_refused_by_the_page(browser) {
    const { page, run, close } = await open(browser);
    await page.goto(`${base}/card`);
    await page.click("#tests summary");
    await page.click("button.pick");
    const seen = await run(`(() => {
      const refused = [];
      // After the page's own listener; nothing leaves.
      addEventListener("submit", (event) => { refused.push(event.defaultPrevented); event.preventDefault(); });
      const pay = document.querySelector("#pay .button-primary");
      pay.click();
      const label = pay.textContent;
      const disabled = [...document.querySelectorAll("form button[type=submit]")].every((b) => b.getAttribute("aria-disabled") === "true");
      pay.click();
      document.querySelector(".cancel button").click();
      return { refused, label, disabled };
    })()`);
    assert.deepEqual(seen, { refused: [false, true, true], label: "Processing…", disabled: true });
    await close();
  },

  async going_back_makes_the_form_usable_again(browser) {
    const { page, run, close } = await open(browser);
    await page.goto(`${base}/card`);
    await run(`document.querySelector("#pay").addEventListener("submit", (e) => e.preventDefault())`);
    await page.click("#tests summary");
    await page.click("button.pick");
    await page.click("#pay button.button-primary");
    assert.equal(await run(`document.querySelector("#pay .button-primary").textContent`), "Processing…");
    await run(`window.dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }))`);
    assert.equal(await run(`document.querySelector("#pay .button-primary").textContent`), "Pay €50.20");
    assert.equal(await run(`document.querySelectorAll("[aria-disabled]").length`), 0);
    await close();
  },

  async waiting_follows_the_payment(browser) {
    const { page, run, quiet, close } = await open(browser);
    await stay(page);
    await page.goto(`${base}/processing`);
    assert.ok(!(await run(text("live"))).includes("undefined"));
    await page.waitForSelector(".icon-success");
    assert.equal(await run(`document.querySelector("h1").textContent`), "Payment received");
    quiet("waiting");
    await close();
  },

  async wallets_need_the_script_and_pay_with_it(browser) {
    const { page, run, quiet, close } = await open(browser);
    await page.goto(`${base}/card`);
    assert.ok(await page.isVisible("button[value=apple_pay]"));
    const request = page.waitForRequest((sent) => sent.method() === "POST");
    await page.click("button[value=google_pay]");
    assert.match((await request).postData(), /attempt=att_\w+&locale=en&method=google_pay/);
    await page.waitForSelector("#live, .icon-success");
    quiet("wallets");
    await close();
    assert.ok(run);
  },

  async it_works_without_scripts(browser) {
    const { page, close } = await open(browser, { javaScriptEnabled: false });
    await stay(page);
    await page.goto(`${base}/card?locale=de`);
    assert.ok(!(await page.isVisible("button[value=apple_pay]")), "no dead buttons");
    await page.click("#tests summary");
    assert.equal(await page.textContent("bdi.pick"), "4242 4242 4242 4242");
    await page.click("text=PayPal");
    assert.match(page.url(), /locale=de&method=paypal$/);
    await page.click("nav a >> nth=0");
    await page.fill("#number", "4242 4242 4242 4242");
    await page.fill("#expiry", "12/34");
    await page.fill("#code", "123");
    const before = await posts();
    await page.click("#pay button");
    assert.equal(await posts(), before + 1);
    // Loads itself again until there is a result.
    await page.waitForSelector(".icon-success");
    await page.goto(`${base}/card`);
    const cancel = page.waitForRequest((sent) => sent.method() === "POST");
    await page.click(".cancel button");
    assert.match((await cancel).url(), /\/cancel$/);
    await close();
  },

  async the_first_view_is_light(browser) {
    const { page, quiet, close } = await open(browser);
    const sizes = [];
    page.on("requestfinished", (request) => sizes.push(request.sizes().then((s) => s.responseBodySize + s.responseHeadersSize)));
    await page.goto(`${base}/card?locale=ar`, { waitUntil: "networkidle" });
    const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    assert.ok(total < 30_000, `${total} bytes`);
    quiet("weight");
    await close();
  },

  async pictures_for_people_to_look_at(browser) {
    if (!given.pictures) return;
    fs.mkdirSync(given.pictures, { recursive: true });
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [390, 1280]) {
        const { page, close } = await open(browser, { colorScheme, viewport: { width, height: 844 }, reducedMotion: "reduce" });
        await stay(page);
        for (const [name, locale] of [["card", "en"], ["card", "ar"], ["sepa", "de"], ["paypal", "fr"], ["plain", "en"], ["long", "de"], ["problems", "pl"], ["declined", "en"], ["processing", "en"], ["succeeded", "en"], ["succeeded", "he"], ["failed", "en"], ["simulated", "en"]]) {
          await page.goto(`${base}/${name}?locale=${locale}`);
          await page.screenshot({ path: path.join(given.pictures, `${name}-${locale}-${width}-${colorScheme}.png`), fullPage: true });
        }
        await close();
      }
    }
  },
};

async function main() {
  assert.ok(base, "--base is missing");
  const browser = await launch();
  let failed = 0;
  const asked = Object.entries(tests).filter(([name]) => chosen.length === 0 || chosen.includes(name));
  for (const [name, test] of asked) {
    try {
      await test(browser);
      console.log(`ok ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${name}\n${error.stack}`);
    }
  }
  await browser.close();
  console.log(`${asked.length} run, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

main();
