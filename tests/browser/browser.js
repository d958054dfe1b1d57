// Chromium without a window, and what every page is looked at for.
"use strict";

const assert = require("node:assert/strict");
const { chromium } = require("playwright-core");
const axe = require("axe-core");

/** Rules of WCAG 2.2 AA and what axe recommends beside them. */
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

async function launch() {
  const executablePath = process.env.PAYMENTGATE_CHROMIUM;
  assert.ok(executablePath, "PAYMENTGATE_CHROMIUM names no browser; `cargo xtask test` sets it");
  // Chromium's sandbox cannot be set up by root.
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath, args: [...args, "--disable-dev-shm-usage", "--no-proxy-server"] });
}

/** Whatever takes longer than this hangs. */
const HANGS_MS = 120_000;

/** Playwright bounds what it does itself, but not what the debugger is asked. */
async function bounded(asked, what) {
  let timer;
  const hangs = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer: ${what}`)), HANGS_MS);
  });
  return Promise.race([asked, hangs]).finally(() => clearTimeout(timer));
}

/** A page on which nothing may be said on the console: refused by the policy, missing, thrown. */
async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const said = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("requestfailed", (request) => {
    // A page that is left in the middle of a request has not failed.
    if (request.failure()?.errorText !== "net::ERR_ABORTED") said.push(`${request.url()} ${request.failure()?.errorText}`);
  });
  const cdp = await context.newCDPSession(page);
  // Asked through the debugger, which the page's policy does not bind; what Playwright injects it would refuse.
  const run = async (expression) => {
    const asked = cdp.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    const { result, exceptionDetails } = await bounded(asked, `${page.url()}: ${expression.slice(0, 200)}`);
    assert.equal(exceptionDetails, undefined, `${expression.slice(0, 200)}: ${exceptionDetails?.exception?.description}`);
    return result.value;
  };
  const quiet = (when) => assert.deepEqual(said, [], when);
  return { context, page, run, quiet, close: () => context.close() };
}

/** What axe finds, as lines to read. */
async function findings(run) {
  await run(`${axe.source}; undefined`);
  const found = await run(`axe.run(document, { runOnly: ${JSON.stringify(RULES)} }).then((r) => r.violations)`);
  return found.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.html} ${node.failureSummary}`));
}

/** Pixels by which the page is wider than the window, and what sticks out. */
const overflow = (run) =>
  run(`(() => {
    const width = document.documentElement.clientWidth;
    const out = [...document.querySelectorAll("body *")].filter((e) => {
      const box = e.getBoundingClientRect();
      return box.width > 0 && (box.right > width + 0.5 || box.left < -0.5) && !e.closest(".visually-hidden, svg");
    });
    const by = document.documentElement.scrollWidth - width;
    return by > 0 || out.length ? [by, ...out.map((e) => e.outerHTML.slice(0, 120))] : [];
  })()`);

/** Targets that a finger misses: smaller than 44 pixels. Links within a sentence are as tall as their text. */
const smallTargets = (run) =>
  run(`[...document.querySelectorAll("a, button, summary, input:not([type=hidden])")]
    .filter((e) => !e.closest("[hidden], li > a[href^='#'], .alert") && e.getClientRects().length)
    .map((e) => [e.getBoundingClientRect(), e])
    .filter(([box]) => box.height < 44 || box.width < 44)
    .map(([box, e]) => box.width + " x " + box.height + " " + e.outerHTML.slice(0, 120))`);

module.exports = { HANGS_MS, launch, open, findings, overflow, smallTargets };
