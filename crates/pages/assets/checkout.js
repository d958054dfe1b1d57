// The payment page works without this file. It adds: grouping while typing, checks before anything is sent, a guard
// against paying twice, and the live state. It makes no markup out of text: only textContent and attributes.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const announce = byId("announce");
  const say = (text) => {
    if (announce && announce.textContent !== text) announce.textContent = text;
  };

  // Card schemes in the order they are asked: UnionPay shares a range with Maestro. Grouping by the digits' number.
  const SCHEMES = [
    { word: "visa", name: "Visa", starts: /^4/, lengths: [13, 16, 19] },
    { word: "mastercard", name: "Mastercard", starts: /^(5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, lengths: [16] },
    { word: "amex", name: "American Express", starts: /^3[47]/, lengths: [15], groups: [4, 6, 5], code: 4 },
    { word: "discover", name: "Discover", starts: /^(6011|64[4-9]|65)/, lengths: [16, 17, 18, 19] },
    { word: "diners", name: "Diners Club", starts: /^(30[0-5]|3095|36|3[89])/, lengths: [14, 15, 16, 17, 18, 19], diners: true },
    { word: "jcb", name: "JCB", starts: /^35(2[89]|[3-8])/, lengths: [16, 17, 18, 19] },
    { word: "unionpay", name: "UnionPay", starts: /^(62|81)/, lengths: [16, 17, 18, 19] },
    { word: "maestro", name: "Maestro", starts: /^(5018|5020|5038|5893|6304|6759|676[1-3])/, lengths: [12, 13, 14, 15, 16, 17, 18, 19] },
  ];
  const UNKNOWN = { word: "", name: "", lengths: [12, 13, 14, 15, 16, 17, 18, 19] };
  const schemeOf = (digits) => SCHEMES.find((scheme) => scheme.starts.test(digits)) || UNKNOWN;

  const digitsOf = (text) => text.replace(/\D/g, "");
  const luhn = (digits) => {
    let sum = 0;
    for (let place = 0; place < digits.length; place += 1) {
      let digit = Number(digits[digits.length - 1 - place]);
      if (place % 2 === 1) digit = digit > 4 ? digit * 2 - 9 : digit * 2;
      sum += digit;
    }
    return digits.length > 0 && sum % 10 === 0;
  };

  const inGroups = (text, sizes, rest) => {
    const parts = [];
    let at = 0;
    while (at < text.length) {
      const size = sizes[parts.length] || rest;
      parts.push(text.slice(at, at + size));
      at += size;
    }
    return parts.join(" ");
  };
  const formatNumber = (text) => {
    const digits = digitsOf(text).slice(0, 19);
    const scheme = schemeOf(digits);
    if (scheme.groups) return inGroups(digits, scheme.groups, 4);
    if (scheme.diners && digits.length <= 14) return inGroups(digits, [4, 6, 4], 4);
    return inGroups(digits, [], 4);
  };
  const formatExpiry = (text, deleting) => {
    const separated = text.match(/^\s*(\d{1,2})\s*[/.-]\s*(\d{0,4})/);
    let month = separated ? separated[1] : digitsOf(text).slice(0, 2);
    const year = separated ? separated[2] : digitsOf(text).slice(2, 6);
    if (month.length === 1 && (separated || month > "1") && !deleting) month = "0" + month;
    if (month.length < 2 || (deleting && !year)) return separated && !deleting ? month + " / " : month;
    return month + " / " + (year.length === 4 && year.startsWith("20") ? year.slice(2) : year.slice(0, 4));
  };
  const formatIban = (text) => inGroups(text.toUpperCase().replace(/[^0-9A-Z]/g, "").slice(0, 34), [], 4);
  const formatCode = (text) => digitsOf(text).slice(0, 4);

  // Writes the formatted text and puts the caret behind as many characters that count as before.
  const FORMATS = { number: [formatNumber, /\d/], expiry: [formatExpiry, /\d/], code: [formatCode, /\d/], iban: [formatIban, /[0-9A-Za-z]/] };
  const reformat = (input, deleting) => {
    const [format, counts] = FORMATS[input.id];
    const before = input.value;
    const caret = input.selectionStart ?? before.length;
    const after = format(before, deleting);
    if (after === before) return;
    const kept = [...before.slice(0, caret)].filter((c) => counts.test(c)).length;
    const atEnd = caret === before.length;
    input.value = after;
    let place = 0;
    for (let seen = 0; place < after.length && seen < kept; place += 1) if (counts.test(after[place])) seen += 1;
    if (document.activeElement === input) input.setSelectionRange(atEnd ? after.length : place, atEnd ? after.length : place);
  };

  const showScheme = () => {
    const number = byId("number");
    const scheme = schemeOf(digitsOf(number.value));
    byId("brands").dataset.brand = scheme.word;
    const hint = byId("code-hint");
    const text = scheme.code === 4 ? hint.dataset.front : hint.dataset.back;
    if (!hint.textContent.endsWith(text)) hint.textContent = hint.textContent.split(":")[0] + ": " + text;
    const name = byId("brand-name");
    if (name.textContent !== scheme.name) name.textContent = scheme.name;
  };

  // Each answers the sentence to show, or nothing. The server asks the same questions.
  const CHECKS = {
    number: (input) => {
      const digits = digitsOf(input.value);
      const { lengths } = schemeOf(digits);
      if (input.value.trim() === "") return input.dataset.empty;
      if (/[^\d -]/.test(input.value.trim())) return input.dataset.wrong;
      if (!lengths.includes(digits.length)) return lengths.some((length) => length > digits.length) ? input.dataset.incomplete : input.dataset.wrong;
      return luhn(digits) ? "" : input.dataset.wrong;
    },
    expiry: (input) => {
      const read = input.value.trim().match(/^(\d{1,2})\s*[/.-]\s*(\d{4}|\d{2})$/) || input.value.trim().match(/^(\d{2})(\d{4}|\d{2})$/);
      if (!read) return input.dataset.format;
      const month = Number(read[1]);
      const year = read[2].length === 2 ? 2000 + Number(read[2]) : Number(read[2]);
      if (month < 1 || month > 12) return input.dataset.month;
      const now = new Date();
      const [thisYear, thisMonth] = [now.getUTCFullYear(), now.getUTCMonth() + 1];
      if (year > thisYear + 50) return input.dataset.format;
      return year < thisYear || (year === thisYear && month < thisMonth) ? input.dataset.past : "";
    },
    code: (input) => {
      const scheme = schemeOf(digitsOf(byId("number").value));
      const fits = scheme.code === 4 ? /^\d{4}$/ : scheme === UNKNOWN ? /^\d{3,4}$/ : /^\d{3}$/;
      if (fits.test(input.value.trim())) return "";
      return scheme.code === 4 ? input.dataset.four : input.dataset.three;
    },
    name: (input) => (input.value.trim() === "" ? input.dataset.empty : ""),
    // The country's length is the server's to know.
    iban: (input) => {
      const text = input.value.toUpperCase().replace(/ /g, "");
      if (text === "") return input.dataset.empty;
      if (!/^[A-Z]{2}\d{2}[0-9A-Z]{1,30}$/.test(text)) return input.dataset.format;
      if (text.length < 15) return "";
      let rest = 0;
      for (const c of text.slice(4) + text.slice(0, 4)) {
        const value = parseInt(c, 36);
        rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
      }
      return rest === 1 ? "" : input.dataset.check;
    },
    email: (input) => (/^[^\s@]+@[^\s@]+$/.test(input.value.trim()) ? "" : input.dataset.wrong),
  };

  const setProblem = (input, text) => {
    const line = byId(input.id + "-error");
    if (line) line.textContent = text;
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  const showProblems = (found) => {
    const panel = byId("problems");
    panel.hidden = found.length === 0;
    if (found.length === 0) return;
    const heading = document.createElement("h2");
    heading.textContent = panel.dataset.check;
    const list = document.createElement("ul");
    for (const [input, text] of found) {
      const link = document.createElement("a");
      link.href = "#" + input.id;
      link.textContent = text;
      const entry = document.createElement("li");
      entry.append(link);
      list.append(entry);
    }
    panel.replaceChildren(heading, list);
    panel.focus();
  };

  // The guard against a second click or key, until the page is left or shown again from the browser's memory.
  const busy = new Map();
  const setBusy = (form, button) => {
    busy.set(form, [button, [...button.childNodes]]);
    for (const other of document.querySelectorAll("form button")) other.setAttribute("aria-disabled", "true");
    button.replaceChildren(button.dataset.busy);
    say(button.dataset.busy);
  };
  const release = () => {
    for (const [button, label] of busy.values()) button.replaceChildren(...label);
    busy.clear();
    for (const button of document.querySelectorAll("form button")) button.removeAttribute("aria-disabled");
    say("");
  };
  const onSubmit = (event) => {
    const form = event.currentTarget;
    if (busy.size > 0) {
      event.preventDefault();
      return;
    }
    if (form.id === "pay") {
      const inputs = [...form.elements].filter((input) => CHECKS[input.id]);
      const found = inputs.map((input) => [input, CHECKS[input.id](input)]);
      for (const [input, text] of found) setProblem(input, text);
      const wrong = found.filter(([, text]) => text);
      showProblems(wrong);
      if (wrong.length > 0) {
        event.preventDefault();
        return;
      }
    }
    const button = event.submitter || form.querySelector("button");
    if (button && button.dataset.busy) setBusy(form, button);
  };

  const watchFields = (form) => {
    // Ours say what to do, in the page's language.
    form.noValidate = true;
    for (const input of form.elements) {
      if (FORMATS[input.id]) {
        reformat(input, false);
        input.addEventListener("input", (event) => reformat(input, (event.inputType || "").startsWith("delete")));
      }
      if (CHECKS[input.id]) input.addEventListener("input", () => setProblem(input, ""));
      if (input.id === "number") input.addEventListener("input", showScheme);
    }
    if (byId("number")) showScheme();
  };

  const offerTestData = () => {
    for (const text of document.querySelectorAll("[data-fill]")) {
      const input = byId(text.dataset.fill);
      if (!input) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = text.className;
      button.dir = "ltr";
      button.textContent = text.textContent;
      button.addEventListener("click", () => {
        const set = (id, value) => {
          const field = byId(id);
          if (!field || (id !== input.id && field.value !== "")) return;
          field.value = value;
          field.dispatchEvent(new Event("input", { bubbles: true }));
        };
        set(input.id, button.textContent);
        set("expiry", "12 / 34");
        set("code", "123");
        set("name", "Jane Example");
        set("email", "jane@example.com");
        input.form.querySelector("button").focus();
      });
      text.replaceWith(button);
    }
  };

  // Spoken once a minute, and only near the end.
  const countDown = (line) => {
    const ends = performance.now() + Number(line.dataset.seconds) * 1000;
    const show = () => {
      const minutes = Math.floor((ends - performance.now()) / 60000);
      if (minutes < 0) {
        if (busy.size === 0) location.replace(line.dataset.here);
        return;
      }
      const text = minutes < 10 ? line.dataset.text.replace("{n}", String(minutes)) : "";
      if (line.textContent.replace(/[\u2068\u2069]/g, "") !== text) line.textContent = text;
      // The longest wait that a browser's timer takes is 24 days; a page that is open for an hour asks again.
      setTimeout(show, Math.min(Math.max(ends - performance.now() - minutes * 60000, 0) + 50, 3600000));
    };
    show();
  };

  const POLL_MS = [1000, 1000, 2000, 3000, 5000];
  const follow = (live) => {
    let asked = 0;
    const again = () => {
      setTimeout(ask, POLL_MS[Math.min(asked, POLL_MS.length - 1)]);
      asked += 1;
    };
    const ask = async () => {
      try {
        const answer = await fetch(live.dataset.status, { cache: "no-store", headers: { accept: "application/json" } });
        if (answer.ok) {
          const { state } = await answer.json();
          if (state !== live.dataset.state) {
            location.replace(live.dataset.here);
            return;
          }
          say("");
        } else if (answer.status < 500 && answer.status !== 429) {
          location.replace(live.dataset.here);
          return;
        }
      } catch {
        say(announce.dataset.lost);
      }
      again();
    };
    again();
  };

  for (const form of document.querySelectorAll("form")) form.addEventListener("submit", onSubmit);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) release();
  });
  const form = byId("pay");
  if (form) watchFields(form);
  const panel = byId("problems");
  // Browsers that know autofocus on any element have done it by then, and complain when they are forestalled.
  requestAnimationFrame(() => {
    if (panel && !panel.hidden && document.activeElement === document.body) panel.focus();
  });
  const wallets = byId("wallets");
  if (wallets) wallets.hidden = false;
  offerTestData();
  const expires = byId("expires");
  if (expires && expires.dataset.seconds) countDown(expires);
  const live = byId("live");
  if (live) follow(live);
})();
