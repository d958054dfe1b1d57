"""How a shop checks a notice (IPN). Run by the gateway's tests: a case as JSON on stdin, "genuine" or "refused" out."""

import hashlib
import hmac
import json
import sys
import time


def ipn_is_genuine(body, timestamp, signature, secret):
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    fresh = timestamp.isascii() and timestamp.isdigit() and abs(time.time() - int(timestamp)) <= 300
    return fresh and signature.isascii() and hmac.compare_digest(expected, signature)


case = json.load(sys.stdin)
genuine = ipn_is_genuine(case["body"].encode(), case["timestamp"], case["signature"], case["secret"])
print("genuine" if genuine else "refused")
