// How heavy the first view is, and how soon it is there. Runs alone, when the other flows are over.
"use strict";

const assert = require("node:assert/strict");
const { Payer } = require("../payer.js");

/** A first visit: bytes over the wire, and milliseconds until the first contentful paint. */
async function visit(world, purchase) {
  const payer = await Payer.come(world);
  const sizes = [];
  payer.page.on("requestfinished", (request) => sizes.push(request.sizes().then((s) => s.responseBodySize + s.responseHeadersSize)));
  const cdp = await payer.context.newCDPSession(payer.page);
  await cdp.send("Emulation.setCPUThrottlingRate", { rate: 4 });
  await payer.page.goto(purchase.url, { waitUntil: "networkidle" });
  assert.ok(sizes.length >= 4, "page, two style sheets, script");
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  const painted = await payer.run(`new Promise((resolve) => {
    const found = (list) => list.getEntries().filter(({ name }) => name === "first-contentful-paint").forEach(({ startTime }) => resolve(startTime));
    new PerformanceObserver(found).observe({ type: "paint", buffered: true });
  })`);
  await payer.leave();
  return { bytes, painted: Math.round(painted) };
}

module.exports = {
  async the_first_view_is_light_and_soon(world) {
    const purchase = await world.gate.purchase();
    const visits = [];
    for (let times = 0; times < 3; times += 1) visits.push(await visit(world, purchase));
    for (const { bytes } of visits) assert.ok(bytes < 30_000, `${bytes} bytes over the wire`);
    const paints = visits.map(({ painted }) => painted).join(", ");
    console.log(`first view: ${visits[0].bytes} bytes over the wire; first contentful paint after ${paints} ms with the CPU slowed down 4 times`);
    await world.gate.expect(purchase, "created", { tries: 0, paid: 0 });
  },
};
