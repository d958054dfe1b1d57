// A payer who pays one page by card: node pay.js URL NUMBER [HOME]
//
// Whom the bank asks agrees. With HOME, the page must leave for an address that begins so. Whoever is declined is
// told so and goes away: the page stays open.
"use strict";

const assert = require("node:assert/strict");
const { HANGS_MS, launch, open } = require("./browser.js");

async function main([url, number, home]) {
  const browser = await launch();
  const { page, quiet } = await open(browser, {});
  page.setDefaultTimeout(HANGS_MS);
  await page.goto(`${url}?locale=en`);
  await page.fill("#number", number);
  await page.fill("#expiry", "12 / 34");
  await page.fill("#code", "123");
  await page.click("#pay button");
  const asked = page.locator("h1", { hasText: "Confirm your payment" });
  const paid = page.locator("h1", { hasText: "Payment received" });
  const declined = page.locator("#problems h2");
  await asked.or(paid).or(declined).first().waitFor();
  if (await asked.isVisible()) {
    await page.click("button[value=success]");
    await paid.waitFor();
  }
  if (await declined.isVisible()) {
    await browser.close();
    console.log("declined");
    return;
  }
  if (home) {
    await page.waitForURL((to) => to.href.startsWith(home));
    assert.equal(await page.textContent("h1"), "Thank you");
  }
  quiet("said on the console");
  await browser.close();
  console.log("paid");
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.stack);
  process.exit(1);
});
