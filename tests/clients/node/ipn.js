// How a shop checks a notice (IPN). Run by the gateway's tests: a case as JSON on stdin, "genuine" or "refused" out.
'use strict';

const crypto = require('node:crypto');

function ipnIsGenuine(body, timestamp, signature, secret) {
  const expected = crypto.createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest();
  const given = Buffer.from(signature, 'hex');
  const fresh = /^\d+$/.test(timestamp) && Math.abs(Date.now() / 1000 - Number(timestamp)) <= 300;
  return fresh && given.length === expected.length && crypto.timingSafeEqual(given, expected);
}

const given = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
const genuine = ipnIsGenuine(given.body, given.timestamp, given.signature, given.secret);
console.log(genuine ? 'genuine' : 'refused');
