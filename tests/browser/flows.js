// The payment page of a running gateway, from the shop's request to the shop's page. Started by the tests of
// crates/server: node flows.js --api URL --public URL --key sk_test_... --service N --secret ... [--looks]
// [--pictures DIR] [--only NAME]
"use strict";

const assert = require("node:assert/strict");
const { parseArgs } = require("node:util");
const { launch } = require("./browser.js");
const { Gate, openShop, until } = require("./gate.js");

const text = { type: "string" };
const { values: given } = parseArgs({
  options: { api: text, public: text, key: text, service: text, secret: text, pictures: text, only: text, looks: { type: "boolean" } },
});

/** Flows at the same time: most of one is waiting for the browser. */
const AT_ONCE = 4;

async function main() {
  for (const name of ["api", "public", "key", "service", "secret"]) assert.ok(given[name], `--${name} is missing`);
  const shop = await openShop();
  const gate = Object.assign(new Gate({ ...given, shop }), { public: given.public, until });
  const browser = await launch();
  const world = { browser, gate, shop, pictures: given.pictures };
  const wanted = (...files) => files.flatMap((file) => Object.entries(require(`./flows/${file}.js`))).filter(([name]) => !given.only || name.includes(given.only));
  // The longest first: one of them at the end would run alone.
  const queue = wanted(...(given.looks ? ["looking", "browsing"] : []), "paying", "guarding");
  const last = wanted(...(given.looks ? ["weighing"] : []));
  const count = queue.length + last.length;
  let failed = 0;
  const work = async (flows) => {
    for (let next = flows.shift(); next; next = flows.shift()) {
      const [name, flow] = next;
      const begun = Date.now();
      try {
        await flow(world);
        console.log(`ok ${name} ${Date.now() - begun} ms`);
      } catch (error) {
        failed += 1;
        console.log(`FAILED ${name}\n${error.stack}`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, () => work(queue)));
  await work(last);
  await browser.close();
  await shop.close();
  console.log(`${count} run, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

main();
