"""A merchant's server on the Admin API, from its organisation to a refund, with nothing but the standard library.

Others do what a server cannot: it prints a line and goes on when an answer comes on standard input.

    PAY <address of the page> <card number> <home>   a payer pays there, and ends on a page of the merchant's home
    KEY <name of the organisation>                   the operator makes a REST v2 key of it; the answer is the key

    python3 merchant.py --admin http://127.0.0.1:8081 --public http://127.0.0.1:8082 --api http://127.0.0.1:8080 \
        --system-key sk_test_...
"""

import argparse
import hashlib
import hmac
import http.server
import json
import os
import queue
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

#: As old as a notice may be, in seconds.
TOLERANCE_S = 300
PATIENCE_S = 60


class Home:
    """The merchant's own server: keeps each notice that is posted and each payer who comes back."""

    def __init__(self):
        self.notices = queue.Queue()
        self.payers = queue.Queue()
        home = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, body):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                home.notices.put((self.headers, body))
                self.answer(b"")

            def do_GET(self):
                if self.path.startswith("/thanks"):
                    home.payers.put(self.path)
                self.answer(b"<!doctype html><title>Thank you</title><link rel=icon href=data:,><h1>Thank you</h1>")

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def notice(self, secret, transaction, status):
        """Waits for the notice of this status of the transaction; every notice on the way must verify."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            left = deadline - time.monotonic()
            assert left > 0, f"no notice of status {status} of {transaction}"
            try:
                headers, body = self.notices.get(timeout=left)
            except queue.Empty:
                continue
            told = verified(headers, body, secret)
            if (told["id"], told["status"]) == (transaction, status):
                return told


def verified(headers, body, secret):
    """The notice, if the two headers sign these very bytes and are fresh."""
    timestamp, signature = headers["X-Signature-Timestamp"], headers["X-Signature-Hmac-Sha256"]
    assert abs(time.time() - int(timestamp)) <= TOLERANCE_S, f"signed at {timestamp}"

    def sign(with_secret, signed):
        return hmac.new(with_secret.encode(), timestamp.encode() + b"." + signed, hashlib.sha256).hexdigest()

    assert hmac.compare_digest(sign(secret, body), signature), f"not signed by us: {body!r}"
    assert sign(secret + "x", body) != signature and sign(secret, body + b" ") != signature
    return json.loads(body)


class Api:
    """JSON over HTTP with a bearer key. An answer of another status than `expect` ends the script."""

    def __init__(self, base, key):
        self.base, self.key = base, key

    def __call__(self, method, path, body=None, expect=200, **headers):
        data = None if body is None else json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.base + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        assert status == expect, f"{method} {path}: {status}, not {expect}: {text.decode()}"
        return json.loads(text)


checks = 0


def check(what, got, expected):
    global checks
    checks += 1
    assert got == expected, f"{what}: {got!r} instead of {expected!r}"


def ask(*words):
    """Has somebody else do what the words say; what they answer."""
    print(*words, flush=True)
    answer = sys.stdin.readline().strip()
    assert answer, f"nobody answered to {words[0]}"
    return answer


def pay(api, home, site, order, card):
    """A checkout of two lines that a payer pays in a browser; the checkout and the transaction's id."""
    checkout = api(
        "POST",
        f"/checkouts/{site['id']}/create",
        {
            "amount": 4900,
            "currency": "EUR",
            "email": "jo@example.com",
            "externalReference": order,
            "items": [
                {"name": "Mug & saucer", "quantity": 2, "unitPrice": 2500, "vatRate": 19},
                {"name": "Voucher", "quantity": 1, "unitPrice": -100, "itemType": "discount"},
            ],
            "billingAddress": {"firstName": "Jo", "lastName": "Doe", "city": "Graz", "country": "AT"},
            "returnUrl": home.url + "/thanks?order=" + order + "&transaction={transactionId}",
            "cancelUrl": home.url + "/cart",
            "ipnUrl": home.url + "/ipn",
            "metadata": {"cart": "77"},
        },
    )
    check(f"the checkout {order}", [checkout["status"], checkout["amount"], checkout["currency"]], ["open", 4900, "EUR"])
    check("its lines", [i["unitPrice"] for i in checkout["items"]], [2500, -100])
    check("its link", checkout["paymentUrl"].endswith("/checkout/" + checkout["shortCode"]), True)
    ask("PAY", checkout["paymentUrl"], card, home.url)
    back = urllib.parse.parse_qs(urllib.parse.urlsplit(home.payers.get(timeout=PATIENCE_S)).query)
    check("the payer comes back for this order", back["order"], [order])
    transaction = back["transaction"][0]
    told = home.notice(site["webhookSecret"], transaction, 1)
    check("the notice", told, {"id": transaction, "externalReference": order, "status": 1})
    check("the checkout is completed", api("GET", f"/checkouts/{checkout['id']}")["status"], "completed")
    return checkout, transaction


def timeline(transaction, kind):
    return [row for row in transaction["timeline"] if row["type"] == kind]


def main():
    parser = argparse.ArgumentParser()
    for name in ["admin", "public", "api", "system-key"]:
        parser.add_argument("--" + name, required=True)
    options = parser.parse_args()
    home = Home()

    # Whoever runs the instance makes the organisation and its first key, and is done.
    system = Api(options.admin + "/api/v1", options.system_key)
    name = f"Mugs & More {os.getpid()}"
    organization = system("POST", "/organizations", {"name": name}, expect=201)
    scopes = ["site:*", "provider:*", "checkout:*", "transaction:*"]
    keys = f"/organizations/{organization['id']}/api-keys"
    made = system("POST", keys, {"name": "server", "mode": "test", "scopes": scopes}, expect=201)

    # The merchant's server, with a key that can do no more than it needs.
    api = Api(options.admin + "/api/v1", made["key"])
    api("GET", "/organizations", expect=403)
    config = {"apiKey": "sandbox_0123456789abcdef"}
    provider = api("POST", "/providers", {"type": "sandbox", "label": "Acquirer", "config": config}, expect=201)
    check("the provider takes its credentials", api("POST", f"/providers/{provider['id']}/test", {})["ok"], True)
    settings = {
        "name": "Mugs & More",
        "url": home.url,
        "providerIds": [provider["id"]],
        "defaultProviderId": provider["id"],
        "branding": {"primaryColor": "#0a7f5a"},
    }
    site = api("POST", "/sites", settings, expect=201)
    check("the secret of notices", site["webhookSecret"].startswith("whsec_"), True)
    wrong = {"amount": 1, "currency": "EUR", "externalReference": "x", "items": [{"name": "a", "unitPrice": 2}]}
    api("POST", f"/checkouts/{site['id']}/create", wrong, expect=422)

    checkout, first = pay(api, home, site, "order-1", "4242424242424242")
    _, second = pay(api, home, site, "order-2", "4000000000003220")
    check("two transactions", sorted(row["id"] for row in api("GET", "/transactions")["transactions"]), sorted([first, second]))

    seen = api("GET", f"/transactions/{first}")
    got = [seen[field] for field in ["status", "statusCode", "amount", "providerId", "checkoutId", "externalReference"]]
    check("the transaction", got, ["succeeded", 1, 4900, provider["id"], checkout["id"], "order-1"])
    sale = [row for row in timeline(seen, "journal") if row["name"] == "sale"]
    check("one sale in the books", len(sale), 1)
    sides = [sum(entry[side] for entry in sale[0]["entries"]) for side in ["debit", "credit"]]
    check("both of its sides", sides, [4900, 4900])
    check("its attempt", [row["transactionId"] for row in timeline(seen, "attempt")], [first])
    deadline = time.monotonic() + PATIENCE_S
    while not timeline(api("GET", f"/transactions/{first}"), "ipn"):
        # The notice is here before the gateway has written down that it was taken.
        assert time.monotonic() < deadline, "the notice is not in the timeline"
        time.sleep(0.1)
    notice = timeline(api("GET", f"/transactions/{first}"), "ipn")[0]
    check("its notice", [notice["attempt"], notice["result"]], [1, "200"])

    # A part is given back, once, however often it is asked for.
    refund = {"amount": 1200, "reason": "one mug came back"}
    once = {"Idempotency_Key": "refund-1"}
    back = api("POST", f"/transactions/{first}/refund", refund, **once)
    again = api("POST", f"/transactions/{first}/refund", refund, **once)
    check("a repetition is the same answer", again, back)
    check("a part is refunded", [back["status"], back["statusCode"], back["refundedAmount"]], ["succeeded", 1, 1200])
    api("POST", f"/transactions/{first}/refund", {"amount": 3701}, expect=422)
    seen = api("GET", f"/transactions/{first}")
    check("one refund", [(r["amount"], r["status"]) for r in seen["refunds"]], [(1200, "succeeded")])
    check("the refund in the books", any(row["name"].startswith("refund") for row in timeline(seen, "journal")), True)

    # The same payment over REST v2, with a key that the operator makes for the same merchant.
    v2 = Api(options.api + "/v2", ask("KEY", name))
    listed = v2("GET", "/payment_intents?limit=10")["data"]
    check("two payments over REST v2", len(listed), 2)
    intent = min(listed, key=lambda payment: payment["id"])
    check("their state", [intent["status"], intent["amount_received"], intent["currency"]], ["succeeded", 4900, "eur"])
    check("their notes", intent["metadata"]["cart"], "77")
    charge = v2("GET", f"/charges/{intent['latest_charge']}")
    check("their refund", [charge["amount_captured"], charge["amount_refunded"]], [4900, 1200])
    check("the charge by its name there", charge["id"], seen["providerReference"])

    print(f"{checks} checks, 0 failed", flush=True)


if __name__ == "__main__":
    main()
