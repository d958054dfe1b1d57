// A payer who pays one page by card: node pay.js URL NUMBER
"use strict";

const { HANGS_MS, launch, open } = require("./browser.js");

async function main([url, number]) {
  const browser = await launch();
  const { page } = await open(browser, {});
  page.setDefaultTimeout(HANGS_MS);
  await page.goto(`${url}?locale=en`);
  await page.fill("#number", number);
  await page.fill("#expiry", "12 / 34");
  await page.fill("#code", "123");
  await page.click("#pay button");
  await page.locator("h1", { hasText: "Payment received" }).waitFor();
  await browser.close();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.stack);
  process.exit(1);
});
