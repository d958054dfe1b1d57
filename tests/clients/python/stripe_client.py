#!/usr/bin/env python3
"""Drives a running gateway with the unchanged `stripe` package: its base address is set, nothing else.

    python stripe_client.py --base http://127.0.0.1:8080/stripe --key sk_test_... [--public URL]

Needs a test-mode secret key that may make a few hundred requests at once, and a gateway whose test mode may
send webhooks to loopback addresses over plain HTTP. Exits with 0 when every check holds.
"""

import argparse
import json
import os
import sys
import time
import unittest
import uuid

import stripe

from support import ChallengePage, WebhookReceiver, eventually

RETURN_URL = "https://shop.example/return?order=42"
THREE_DS_CARD = "pm_card_threeDSecure2Required"
PAGED = 260

# The gateway is on this machine; a proxy that the environment names is not asked for it.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"


class GatewayTest(unittest.TestCase):
    """The client as its documentation sets it up, and short cuts for what most checks begin with."""

    base = key = public = None

    @classmethod
    def setUpClass(cls):
        cls.client = stripe.StripeClient(cls.key, base_addresses={"api": cls.base})
        cls.v1 = cls.client.v1

    def create(self, amount=2000, options=None, **params):
        return self.v1.payment_intents.create({"amount": amount, "currency": "usd", **params}, options or {})

    def pay(self, amount=2000, method="pm_card_visa", **params):
        return self.create(amount, payment_method=method, confirm=True, return_url=RETURN_URL, **params)

    def retrieve(self, intent, **params):
        return self.v1.payment_intents.retrieve(intent.id, params)

    def charges(self, intent):
        return self.v1.charges.list({"payment_intent": intent.id}).data

    def charge_of(self, intent):
        return self.retrieve(intent, expand=["latest_charge"]).latest_charge

    def assert_refused(self, error, status, param=None, code=None):
        self.assertEqual(error.http_status, status, error)
        self.assertTrue(error.user_message, "an error says what to do")
        if param is not None:
            self.assertEqual(error.param, param, error)
        if code is not None:
            self.assertEqual(error.code, code, error)


def header(resource, name):
    """A header of the answer that `resource` came in, or None."""
    headers = {key.lower(): value for key, value in resource.last_response.headers.items()}
    return headers.get(name.lower())


class Payments(GatewayTest):
    def test_create(self):
        intent = self.create(2000, description="A book", metadata={"order": "42"})
        self.assertIsInstance(intent, stripe.PaymentIntent)
        self.assertIn(intent.last_response.code, (200, 201))
        self.assertRegex(intent.id, r"^pi_[0-9A-Za-z]+$")
        self.assertEqual((intent.amount, intent.currency), (2000, "usd"))
        self.assertIs(type(intent.amount), int)
        self.assertEqual(intent.status, "requires_payment_method")
        self.assertTrue(intent.client_secret.startswith(intent.id + "_secret_"), intent.client_secret)
        self.assertIn("card", intent.payment_method_types)
        self.assertEqual((intent.amount_received, intent.amount_capturable), (0, 0))
        self.assertLess(abs(intent.created - time.time()), 300)
        self.assertIs(intent.livemode, False)
        self.assertEqual(intent.metadata.to_dict(), {"order": "42"})
        for field in ("canceled_at", "customer", "last_payment_error", "latest_charge", "next_action", "payment_method"):
            self.assertIn(field, intent)
            self.assertIsNone(intent[field], field)
        self.assertTrue(header(intent, "Request-Id"))
        self.assertEqual(self.retrieve(intent).to_dict(), intent.to_dict())

    def test_types_asked_for_are_kept(self):
        self.assertEqual(self.create(payment_method_types=["card"]).payment_method_types, ["card"])

    def test_module_level_api(self):
        stripe.api_base, stripe.api_key = self.base, self.key
        try:
            intent = stripe.PaymentIntent.create(amount=700, currency="usd")
            self.assertEqual(stripe.PaymentIntent.retrieve(intent.id).amount, 700)
            self.assertEqual(stripe.PaymentIntent.cancel(intent.id).status, "canceled")
        finally:
            stripe.api_base, stripe.api_key = stripe.DEFAULT_API_BASE, None

    def test_confirm_and_expand(self):
        intent = self.create(2000)
        done = self.v1.payment_intents.confirm(
            intent.id, {"payment_method": "pm_card_visa", "expand": ["latest_charge.balance_transaction"]}
        )
        self.assertEqual((done.id, done.status, done.amount_received), (intent.id, "succeeded", 2000))
        charge = done.latest_charge
        self.assertIsInstance(charge, stripe.Charge)
        self.assertEqual((charge.status, charge.paid, charge.captured), ("succeeded", True, True))
        self.assertEqual((charge.amount, charge.amount_captured, charge.amount_refunded), (2000, 2000, 0))
        self.assertEqual(charge.payment_intent, intent.id)
        self.assertEqual(charge.payment_method_details.card.last4, "4242")
        movement = charge.balance_transaction
        self.assertIsInstance(movement, stripe.BalanceTransaction)
        self.assertTrue(movement.id.startswith("txn_"))
        self.assertEqual((movement.amount, movement.currency, movement.type), (2000, "usd", "charge"))
        self.assertGreaterEqual(movement.fee, 0)
        self.assertEqual(movement.net, movement.amount - movement.fee)
        self.assertEqual(movement.source, charge.id)
        plain = self.retrieve(intent)
        self.assertEqual(plain.latest_charge, charge.id)
        self.assertTrue(plain.payment_method.startswith("pm_"))
        self.assertNotEqual(plain.payment_method, "pm_card_visa", "a token becomes a method of its own")

    def test_wrong_state(self):
        intent = self.pay()
        for step in (self.v1.payment_intents.confirm, self.v1.payment_intents.cancel):
            with self.assertRaises(stripe.InvalidRequestError) as caught:
                step(intent.id)
            self.assert_refused(caught.exception, 400, code="payment_intent_unexpected_state")
        self.assertEqual(len(self.charges(intent)), 1)

    def test_manual_capture(self):
        intent = self.pay(5000, capture_method="manual")
        self.assertEqual(intent.status, "requires_capture")
        self.assertEqual((intent.amount_capturable, intent.amount_received), (5000, 0))
        held = self.charge_of(intent)
        self.assertEqual((held.status, held.captured, held.balance_transaction), ("succeeded", False, None))
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.v1.payment_intents.capture(intent.id, {"amount_to_capture": 5001})
        self.assert_refused(caught.exception, 400, param="amount_to_capture")

        captured = self.v1.payment_intents.capture(intent.id, {"amount_to_capture": 3000})
        self.assertEqual((captured.status, captured.amount), ("succeeded", 5000))
        self.assertEqual((captured.amount_received, captured.amount_capturable), (3000, 0))
        charge = self.charge_of(intent)
        self.assertEqual((charge.id, charge.captured, charge.amount_captured), (held.id, True, 3000))
        self.assertTrue(charge.balance_transaction.startswith("txn_"))
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.v1.payment_intents.capture(intent.id)
        self.assert_refused(caught.exception, 400, code="payment_intent_unexpected_state")

    def test_decline_then_success(self):
        intent = self.create(1500)
        with self.assertRaises(stripe.CardError) as caught:
            self.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa_chargeDeclined"})
        declined = caught.exception
        self.assert_refused(declined, 402, code="card_declined")
        self.assertEqual(declined.error.type, "card_error")
        self.assertEqual(declined.error.decline_code, "generic_decline")
        self.assertEqual(declined.error.payment_intent["id"], intent.id)
        self.assertEqual(declined.error.payment_intent["status"], "requires_payment_method")

        after = self.retrieve(intent)
        self.assertEqual((after.status, after.payment_method), ("requires_payment_method", None))
        self.assertEqual(after.last_payment_error.code, "card_declined")
        self.assertEqual(after.last_payment_error.decline_code, "generic_decline")
        failed = self.charge_of(intent)
        self.assertEqual((failed.status, failed.paid, failed.failure_code), ("failed", False, "card_declined"))

        paid = self.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
        self.assertEqual((paid.status, paid.last_payment_error), ("succeeded", None))
        self.assertEqual([charge.status for charge in self.charges(intent)], ["succeeded", "failed"])


class Authentication(GatewayTest):
    def challenge(self):
        intent = self.pay(3000, THREE_DS_CARD)
        self.assertEqual(intent.status, "requires_action")
        self.assertEqual(intent.next_action.type, "redirect_to_url")
        redirect = intent.next_action.redirect_to_url
        self.assertEqual(redirect.return_url, RETURN_URL)
        if self.public:
            self.assertTrue(redirect.url.startswith(self.public.rstrip("/") + "/"), redirect.url)
        self.assertEqual((intent.latest_charge, self.charges(intent)), (None, []))
        page = ChallengePage(redirect.url)
        self.assertEqual(page.status, 200)
        return intent, page

    def finished(self, intent):
        return eventually(lambda: self.retrieve(intent), lambda now: now.status not in ("requires_action", "processing"))

    def test_success(self):
        intent, page = self.challenge()
        self.assertEqual(self.retrieve(intent).status, "requires_action", "looking at the page decides nothing")
        self.assertIn("success", page.outcomes())
        self.assertIn(page.choose("success"), (200, 302, 303))
        done = self.finished(intent)
        self.assertEqual((done.status, done.amount_received, done.next_action), ("succeeded", 3000, None))
        self.assertEqual([charge.id for charge in self.charges(intent)], [done.latest_charge])

        page.choose("success")
        self.assertEqual(self.retrieve(intent).amount_received, 3000)
        self.assertEqual(len(self.charges(intent)), 1, "a form sent twice charges once")

    def test_failure(self):
        intent, page = self.challenge()
        failing = [outcome for outcome in page.outcomes() if outcome.startswith("fail")]
        self.assertEqual(len(failing), 1, page.outcomes())
        self.assertIn(page.choose(failing[0]), (200, 302, 303))
        done = self.finished(intent)
        self.assertEqual((done.status, done.next_action), ("requires_payment_method", None))
        self.assertEqual(done.last_payment_error.code, "payment_intent_authentication_failure")
        self.assertEqual(done.amount_received, 0)
        self.assertEqual([charge for charge in self.charges(intent) if charge.paid], [])


class Refunds(GatewayTest):
    def refund(self, intent, **params):
        return self.v1.refunds.create({"payment_intent": intent.id, **params})

    def test_partial_over_and_full(self):
        intent = self.pay(10_000)
        part = self.refund(intent, amount=3000, reason="requested_by_customer")
        self.assertEqual((part.object, part.amount, part.currency), ("refund", 3000, "usd"))
        self.assertEqual((part.status, part.reason), ("succeeded", "requested_by_customer"))
        self.assertEqual((part.payment_intent, part.charge), (intent.id, intent.latest_charge))
        charge = self.charge_of(intent)
        self.assertEqual((charge.amount_refunded, charge.refunded), (3000, False))

        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.refund(intent, amount=7001)
        self.assert_refused(caught.exception, 400, param="amount")
        self.assertEqual(self.charge_of(intent).amount_refunded, 3000)

        rest = self.refund(intent)
        self.assertEqual(rest.amount, 7000)
        charge = self.charge_of(intent)
        self.assertEqual((charge.amount_refunded, charge.refunded), (10_000, True))
        self.assertEqual(self.retrieve(intent).status, "succeeded")
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.refund(intent, amount=1)
        self.assert_refused(caught.exception, 400, code="charge_already_refunded")

        listed = self.v1.refunds.list({"payment_intent": intent.id})
        self.assertEqual([refund.id for refund in listed], [rest.id, part.id])


class Metadata(GatewayTest):
    def test_set_merge_and_unset(self):
        intent = self.create(metadata={"a": "1", "b": "2"})
        self.assertEqual(intent.metadata.to_dict(), {"a": "1", "b": "2"})
        for change, expected in (
            ({"b": "3", "c": 4}, {"a": "1", "b": "3", "c": "4"}),
            ({"a": ""}, {"b": "3", "c": "4"}),
            ("", {}),
        ):
            updated = self.v1.payment_intents.update(intent.id, {"metadata": change})
            self.assertEqual(updated.metadata.to_dict(), expected)
            self.assertEqual(self.retrieve(intent).metadata.to_dict(), expected)


class Customers(GatewayTest):
    def test_create_update_list(self):
        email = f"{uuid.uuid4().hex}@shop.example"
        customer = self.v1.customers.create({"email": email, "name": "Ada", "metadata": {"vip": "yes"}})
        self.assertTrue(customer.id.startswith("cus_"))
        self.assertEqual((customer.object, customer.email, customer.name), ("customer", email, "Ada"))
        updated = self.v1.customers.update(customer.id, {"name": "Ada L.", "description": "first"})
        self.assertEqual((updated.name, updated.description, updated.email), ("Ada L.", "first", email))
        self.assertEqual(self.v1.customers.update(customer.id, {"description": ""}).description, None)
        found = self.v1.customers.list({"email": email})
        self.assertEqual([one.id for one in found], [customer.id])
        self.assertEqual((found.url, found.has_more), ("/v1/customers", False))
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.v1.customers.retrieve("cus_" + "0" * 17)
        self.assert_refused(caught.exception, 404, code="resource_missing")

    def test_attach_and_detach(self):
        customer = self.v1.customers.create({"name": "Grace"})
        method = self.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
        self.assertRegex(method.id, r"^pm_(?!card_)")
        self.assertEqual((method.type, method.customer), ("card", customer.id))
        self.assertEqual((method.card.brand, method.card.last4), ("visa", "4242"))
        self.assertNotIn("number", method.card)
        self.assertNotIn("cvc", method.card)

        def attached():
            return [one.id for one in self.v1.payment_methods.list({"customer": customer.id, "type": "card"})]

        self.assertEqual(attached(), [method.id])
        intent = self.pay(900, method.id, customer=customer.id)
        self.assertEqual((intent.status, intent.payment_method), ("succeeded", method.id))
        self.assertIsNone(self.v1.payment_methods.detach(method.id).customer)
        self.assertEqual(attached(), [])
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.v1.payment_methods.attach(method.id, {"customer": customer.id})
        self.assert_refused(caught.exception, 400)


    def test_delete_erases(self):
        email = f"{uuid.uuid4().hex}@shop.example"
        customer = self.v1.customers.create({"email": email, "name": "Ada Erased"})
        method = self.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
        intent = self.pay(900, method.id, customer=customer.id, receipt_email=email)
        deleted = self.v1.customers.delete(customer.id)
        self.assertEqual((deleted.id, deleted.object, deleted.deleted), (customer.id, "customer", True))
        self.assertTrue(self.v1.customers.retrieve(customer.id).deleted)
        self.assertEqual(len(self.v1.customers.list({"email": email}).data), 0)
        seen = eventually(lambda: self.retrieve(intent), lambda shown: email not in str(shown))
        self.assertNotIn(email, str(seen))
        self.assertEqual((seen.amount_received, seen.customer), (900, customer.id))
        refund = self.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
        self.assertEqual(refund.amount, 100)
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.v1.customers.update(customer.id, {"name": "Again"})
        self.assert_refused(caught.exception, 404, code="resource_missing")


class Payouts(GatewayTest):
    def available(self):
        listed = self.v1.balance.retrieve().available
        return next((entry.amount for entry in listed if entry.currency == "eur"), 0)

    def test_create_cancel_and_balance(self):
        self.pay(5000, "pm_card_bypassPending", currency="eur")
        before = self.available()
        payout = self.v1.payouts.create({"amount": 700, "currency": "eur", "metadata": {"month": "May"}})
        self.assertEqual((payout.object, payout.status, payout.amount), ("payout", "paid", 700))
        self.assertEqual(self.available(), before - 700)
        noted = self.v1.payouts.update(payout.id, {"metadata": {"month": "June"}})
        self.assertEqual(noted.metadata.to_dict(), {"month": "June"})
        line = self.v1.balance_transactions.retrieve(payout.balance_transaction)
        self.assertEqual((line.type, line.amount, line.source), ("payout", -700, payout.id))
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.v1.payouts.cancel(payout.id)
        self.assert_refused(caught.exception, 400, code="payout_unexpected_state")
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.v1.payouts.create({"amount": self.available() + 1, "currency": "eur"})
        self.assert_refused(caught.exception, 400, code="balance_insufficient")
        self.assertIn(payout.id, [one.id for one in self.v1.payouts.list({"status": "paid"}).data])


class Paging(GatewayTest):
    def test_both_directions(self):
        customer = self.v1.customers.create({"name": "Many"}).id
        # One request after the other, so that the order of creation is known.
        oldest_first = [self.create(100 + number, customer=customer).id for number in range(PAGED)]
        self.assertEqual(len(set(oldest_first)), PAGED)

        first = self.v1.payment_intents.list({"customer": customer, "limit": 100})
        self.assertEqual((first.object, first.url), ("list", "/v1/payment_intents"))
        self.assertEqual((len(first.data), first.has_more), (100, True))
        forwards = [intent.id for intent in first.auto_paging_iter()]
        self.assertEqual(forwards, oldest_first[::-1])

        after = {"customer": customer, "limit": 100, "starting_after": oldest_first[-1]}
        rest = [intent.id for intent in self.v1.payment_intents.list(after).auto_paging_iter()]
        self.assertEqual(rest, oldest_first[-2::-1])

        before = {"customer": customer, "limit": 100, "ending_before": oldest_first[0]}
        page = self.v1.payment_intents.list(before)
        self.assertEqual([intent.id for intent in page.data], oldest_first[100:0:-1], "the page next to the cursor")
        backwards = [intent.id for intent in page.auto_paging_iter()]
        self.assertEqual(backwards, oldest_first[1:])

    def test_default_and_refused_limits(self):
        customer = self.v1.customers.create({"name": "Few"}).id
        for _ in range(11):
            self.create(customer=customer)
        page = self.v1.payment_intents.list({"customer": customer})
        self.assertEqual((len(page.data), page.has_more), (10, True))
        for limit in (0, 101):
            with self.assertRaises(stripe.InvalidRequestError) as caught:
                self.v1.payment_intents.list({"limit": limit})
            self.assert_refused(caught.exception, 400, param="limit")


class Idempotency(GatewayTest):
    def test_replay_and_mismatch(self):
        options = {"idempotency_key": str(uuid.uuid4())}
        first = self.pay(1234, options=options)
        again = self.pay(1234, options=options)
        self.assertEqual((again.id, again.latest_charge), (first.id, first.latest_charge))
        self.assertEqual(again.last_response.code, first.last_response.code)
        self.assertEqual(again.last_response.body, first.last_response.body)
        self.assertNotEqual(header(first, "Idempotent-Replayed"), "true")
        self.assertEqual(header(again, "Idempotent-Replayed"), "true")
        self.assertEqual(len(self.charges(first)), 1)

        with self.assertRaises(stripe.IdempotencyError) as caught:
            self.pay(1235, options=options)
        self.assert_refused(caught.exception, 400)
        self.assertEqual(caught.exception.error.type, "idempotency_error")

    def test_a_decline_is_replayed(self):
        options = {"idempotency_key": str(uuid.uuid4())}
        intents = []
        for replayed in (None, "true"):
            with self.assertRaises(stripe.CardError) as caught:
                self.pay(1234, "pm_card_visa_chargeDeclined", options=options)
            headers = {name.lower(): value for name, value in caught.exception.headers.items()}
            self.assertEqual(headers.get("idempotent-replayed"), replayed)
            intents.append(caught.exception.error.payment_intent["id"])
        self.assertEqual(intents[0], intents[1])


class Refusals(GatewayTest):
    def test_unknown_parameter(self):
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.create(amuont=5)
        self.assert_refused(caught.exception, 400, param="amuont", code="parameter_unknown")
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.v1.payment_intents.list({"colour": "red"})
        self.assert_refused(caught.exception, 400, param="colour", code="parameter_unknown")

    def test_missing_parameter(self):
        with self.assertRaises(stripe.InvalidRequestError) as caught:
            self.v1.payment_intents.create({"currency": "usd"})
        self.assert_refused(caught.exception, 400, param="amount", code="parameter_missing")

    def test_wrong_key(self):
        stranger = stripe.StripeClient("sk_test_" + uuid.uuid4().hex, base_addresses={"api": self.base})
        with self.assertRaises(stripe.AuthenticationError) as caught:
            stranger.v1.payment_intents.list()
        self.assert_refused(caught.exception, 401)


class Webhooks(GatewayTest):
    def test_signature(self):
        receiver = WebhookReceiver()
        self.addCleanup(receiver.close)
        endpoint = self.v1.webhook_endpoints.create(
            {"url": receiver.url, "enabled_events": ["payment_intent.succeeded"]}
        )
        self.addCleanup(self.v1.webhook_endpoints.delete, endpoint.id)
        self.assertTrue(endpoint.secret.startswith("whsec_"))
        self.assertIsNone(self.v1.webhook_endpoints.retrieve(endpoint.id).to_dict().get("secret"))

        intent = self.pay(4200)
        # Other payments of this run may be reported to the same endpoint.
        delivery = receiver.wait_for(lambda _, body: json.loads(body)["data"]["object"]["id"] == intent.id)
        self.assertIsNotNone(delivery, "no webhook arrived")
        headers, body = delivery
        signature = headers["pg-signature"]
        self.assertRegex(signature, r"^t=\d+,v1=[0-9a-f]{64}$")

        event = stripe.Webhook.construct_event(body, signature, endpoint.secret)
        self.assertIsInstance(event, stripe.Event)
        self.assertTrue(event.id.startswith("evt_"))
        self.assertEqual((event.type, event.livemode), ("payment_intent.succeeded", False))
        self.assertIsInstance(event.data.object, stripe.PaymentIntent)
        self.assertEqual((event.data.object.status, event.data.object.amount), ("succeeded", 4200))

        forged = body.replace(b"4200", b"4201")
        self.assertNotEqual(forged, body)
        for payload, secret in ((forged, endpoint.secret), (body, "whsec_" + "0" * 32)):
            with self.assertRaises(stripe.SignatureVerificationError):
                stripe.Webhook.construct_event(payload, signature, secret)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, help="the client's base address, such as http://127.0.0.1:8080/stripe")
    parser.add_argument("--key", required=True, help="a test-mode secret key")
    parser.add_argument("--public", help="base URL that links to hosted pages must begin with")
    parser.add_argument("only", nargs="*", help="run only these, such as Refunds or Payments.test_create")
    args = parser.parse_args()
    if not args.key.startswith("sk_test_"):
        parser.error("--key must be a test-mode secret key (sk_test_...)")
    GatewayTest.base, GatewayTest.key, GatewayTest.public = args.base.rstrip("/"), args.key, args.public

    loader, module = unittest.defaultTestLoader, sys.modules[__name__]
    suite = loader.loadTestsFromNames(args.only, module) if args.only else loader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len({test.id() for test, _ in result.failures + result.errors})
    print(f"stripe {stripe.VERSION}: {result.testsRun} run, {failed} failed")
    return 0 if result.testsRun and result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
