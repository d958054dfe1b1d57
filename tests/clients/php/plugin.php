<?php

// A shop plugin for the Admin API: does what published plugins do, with nothing but PHP. It makes checkouts by a
// POST to /v1/checkouts/<site>/create, sends payers to the answer's paymentUrl, and believes nothing but the two
// headers of a notice. Somebody else has to pay: it prints "PAY <address of the page> <card number>" and goes on
// when a line comes on standard input.
//
//     php plugin.php --base http://127.0.0.1:8081 --site 65f... --key sk_test_... --secret whsec_...

declare(strict_types=1);

require __DIR__ . '/receiver.php';

/** As old as a notice may be, in seconds. */
const TOLERANCE_S = 300;

['base' => $base, 'site' => $site, 'key' => $key, 'secret' => $secret] =
    getopt('', ['base:', 'site:', 'key:', 'secret:']);

/** The status and the answer. */
function call(string $method, string $path, ?array $body): array
{
    global $base, $key;
    $header = ["Authorization: Bearer $key", 'Accept: application/json'];
    $http = ['method' => $method, 'ignore_errors' => true];
    if ($body !== null) {
        $header[] = 'Content-Type: application/json';
        // Plugins write slashes and other letters escaped, as PHP does by itself.
        $http['content'] = json_encode($body, JSON_THROW_ON_ERROR);
    }
    $text = file_get_contents($base . $path, false, stream_context_create(['http' => $http + ['header' => $header]]));
    if ($text === false) {
        throw new RuntimeException("$path did not answer");
    }
    $status = (int) explode(' ', $http_response_header[0])[1];
    return [$status, json_decode($text, true, 512, JSON_THROW_ON_ERROR)];
}

$checks = 0;

function check(string $what, $got, $expected): void
{
    global $checks;
    $checks++;
    if ($got !== $expected) {
        throw new RuntimeException("$what: " . var_export($got, true) . ' instead of ' . var_export($expected, true));
    }
}

/** Whether the two headers sign these very bytes, not long ago. */
function verify(array $headers, string $body, string $secret, int $now): bool
{
    $timestamp = $headers['x-signature-timestamp'] ?? '';
    $signature = $headers['x-signature-hmac-sha256'] ?? '';
    if (!ctype_digit($timestamp) || abs($now - (int) $timestamp) > TOLERANCE_S) {
        return false;
    }
    return hash_equals(hash_hmac('sha256', "$timestamp.$body", $secret), $signature);
}

/** What an order becomes by a notice's integer. */
const STATES = [1 => 'paid', 2 => 'failed', 3 => 'refunded', -2 => 'cancelled'];

/** Waits for the notice that makes this order so; the notice, verified. */
function told(Receiver $receiver, string $order, string $state): array
{
    global $secret;
    [$headers, $body] = $receiver->waitWhole(static function (string $body) use ($order, $state): bool {
        $notice = json_decode($body, true);
        return $notice['externalReference'] === $order && (STATES[$notice['status']] ?? null) === $state;
    });
    check("the notice of $state is signed", verify($headers, $body, $secret, time()), true);
    check('changed bytes are not', verify($headers, str_replace('"status":', '"status": ', $body), $secret, time()), false);
    check('nor is another secret', verify($headers, $body, $secret . 'x', time()), false);
    $late = time() + TOLERANCE_S + 60;
    check('nor an old one', verify($headers, $body, $secret, $late), false);
    $notice = json_decode($body, true);
    check('the status is an integer', is_int($notice['status']), true);
    return $notice;
}

/** A checkout of 49.00 euro; its answer. */
function checkout(Receiver $receiver, string $order): array
{
    global $site;
    $nothing = ['firstName', 'lastName', 'address1', 'address2', 'city', 'postcode', 'country', 'phone'];
    $body = [
        'amount' => 4900,
        'currency' => 'EUR',
        'email' => 'zoe@example.com',
        'returnUrl' => 'https://shop.example/return?order=' . $order . '&tx={transactionId}',
        'cancelUrl' => 'https://shop.example/cart',
        'ipnUrl' => $receiver->url,
        'externalReference' => $order,
        'items' => [
            ['name' => 'Tea "Zoë" <b>strong</b>', 'quantity' => 2, 'unitPrice' => 2500, 'vatRate' => 19, 'itemType' => 'goods'],
            ['quantity' => 1, 'unitPrice' => 400, 'vatRate' => 7.5, 'itemType' => 'shipping'],
            ['name' => 'Voucher', 'quantity' => 1, 'unitPrice' => -500],
        ],
        'billingAddress' => ['firstName' => 'Zoë', 'lastName' => "O'Neil", 'address1' => 'Main 1', 'address2' => '',
            'city' => 'Graz', 'postcode' => '8010', 'country' => 'AT', 'phone' => ''],
        'shippingAddress' => array_fill_keys($nothing, ''),
    ];
    [$http, $answer] = call('POST', "/v1/checkouts/$site/create", $body);
    check("the checkout of $order is made", $http, 200);
    foreach (['id', 'sessionPublicId', 'shortCode', 'paymentUrl'] as $field) {
        check("$field is a text", is_string($answer[$field]) && $answer[$field] !== '', true);
    }
    check('the link has the code', substr($answer['paymentUrl'], -strlen('/checkout/' . $answer['shortCode'])),
        '/checkout/' . $answer['shortCode']);
    // A wrong sum is refused in the words that plugins look for.
    $body['amount'] = 4901;
    [$http, $wrong] = call('POST', "/v1/checkouts/$site/create", $body);
    check('a wrong sum is refused', $http >= 400 && $http < 500, true);
    $said = json_encode($wrong);
    check('and says why', [strpos($said, 'sum of item amounts') !== false,
        strpos($said, 'does not match total amount') !== false], [true, true]);
    return $answer;
}

/** Somebody tries to pay. */
function pay(array $checkout, string $card): void
{
    echo "PAY {$checkout['paymentUrl']} $card\n";
    flush();
    if (fgets(STDIN) === false) {
        throw new RuntimeException('nobody paid');
    }
}

$receiver = new Receiver();
$shop = 'wc-' . bin2hex(random_bytes(4));

$paid = checkout($receiver, "$shop-1");
pay($paid, '4242424242424242');
$transaction = told($receiver, "$shop-1", 'paid')['id'];
[$http, $seen] = call('GET', "/v1/transactions/$transaction", null);
check('the transaction says the same', [$http, $seen['statusCode'], $seen['amount']], [200, 1, 4900]);
[$http, $seen] = call('GET', "/v1/checkouts/{$paid['id']}", null);
check('the address where a payer comes back', $seen['returnUrl'],
    "https://shop.example/return?order=$shop-1&tx={transactionId}");
check('an address of nothing is none', $seen['shippingAddress'], null);
check('a discount is one', [$seen['items'][2]['unitPrice'], $seen['items'][2]['itemType']], [-500, 'discount']);
check('what has no name has one here', $seen['items'][1]['name'] !== '', true);

$declined = checkout($receiver, "$shop-2");
pay($declined, '4000000000000002');
$failed = told($receiver, "$shop-2", 'failed')['id'];
check('another transaction', $failed !== $transaction, true);
// The page is still open, and the next card pays.
pay($declined, '4242424242424242');
check('a try of its own', told($receiver, "$shop-2", 'paid')['id'] !== $failed, true);

[$http, $refunded] = call('POST', "/v1/transactions/$transaction/refund", ['reason' => 'did not taste']);
check('all is given back', [$http, $refunded['statusCode'], $refunded['refundedAmount']], [200, 3, 4900]);
check('the same transaction', told($receiver, "$shop-1", 'refunded')['id'], $transaction);

$left = checkout($receiver, "$shop-3");
[$http, $ended] = call('POST', "/v1/checkouts/{$left['id']}/expire", null);
check('it expires', [$http, $ended['status']], [200, 'expired']);
check('whom nobody paid is told by its own id', told($receiver, "$shop-3", 'cancelled')['id'], $left['id']);

echo "$checks checks, 0 failed\n";
