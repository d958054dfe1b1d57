<?php

// A shop on Gate, from the order to the refund: signs what it sends and checks what it gets, with nothing but
// PHP. Somebody else has to pay: it prints "PAY <address of the page> <payment_id>" and goes on when a line comes
// on standard input.
//
//     php shop.php --base http://127.0.0.1:8080 --service 1 --token demo --secret ...

declare(strict_types=1);

require __DIR__ . '/signer.php';
require __DIR__ . '/receiver.php';

$options = getopt('', ['base:', 'service:', 'token:', 'secret:', 'show']);
['base' => $base, 'service' => $service, 'token' => $token, 'secret' => $secret] = $options;
$show = isset($options['show']);

/** Signs and sends; the status and the answer. */
function call(string $path, array $body): array
{
    global $base, $secret, $token, $show;
    $sent = GateSigner::seal($body, $secret);
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => ['Content-Type: application/json', 'Accept: application/json', "X-REQUEST-TOKEN-NAME: $token"],
        'content' => $sent,
        'ignore_errors' => true,
    ]]);
    $text = file_get_contents($base . $path, false, $context);
    if ($text === false) {
        throw new RuntimeException("$path did not answer");
    }
    if ($show) {
        fwrite(STDERR, "POST $path\n$sent\n$text\n\n");
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

/** Waits for the callback that tells of this status of the transaction; the callback, verified. */
function told(Receiver $receiver, string $uuid, string $status): array
{
    global $secret, $show;
    $text = $receiver->wait(static function (string $text) use ($uuid, $status): bool {
        $transaction = json_decode($text, true)['data']['transaction'] ?? [];
        return ($transaction['uuid'] ?? null) === $uuid && $transaction['status'] === $status;
    });
    check("the callback of $status is signed", GateSigner::verify($text, $secret), true);
    $forged = str_replace('"amount":"100.00"', '"amount":"1.00"', $text);
    check('a forged one is not', [$forged !== $text, GateSigner::verify($forged, $secret)], [true, false]);
    check('nor one of another secret', GateSigner::verify($text, $secret . 'x'), false);
    if ($show) {
        fwrite(STDERR, "CALLBACK $status\n$text\n\n");
    }
    return json_decode($text, true);
}

function status(string $uuid): array
{
    [$http, $answer] = call('/api/transaction/status', ['meta' => ['transaction_uuid' => $uuid]]);
    check('status answers', [$http, $answer['meta']['message']], [200, 'Transaction status request successful']);
    return $answer['data'];
}

function refund(string $uuid, string $price, string $comment): array
{
    return call('/api/operation/refund', [
        'meta' => ['transaction_uuid' => $uuid],
        'refund' => ['price' => $price, 'currency' => 'EUR', 'comment' => $comment],
    ]);
}

$receiver = new Receiver();
$order = 'order-' . bin2hex(random_bytes(6));
$body = [
    'meta' => ['service_id' => (int) $service, 'payment_id' => $order],
    'payment' => ['price' => '100.00', 'currency' => 'EUR'],
    'user' => ['email' => 'someone@example.com', 'first_name' => 'Zoë', 'last_name' => 'O\'Neil', 'country' => 'CZ'],
    'webhook' => ['url' => $receiver->url, 'token_name' => $token],
    'redirect' => ['success_url' => 'https://shop.example/success', 'fail_url' => 'https://shop.example/fail'],
    'order' => [['textual' => 'Two <b>tickets</b>', 'price' => 100.5, 'currency' => 'EUR']],
    'additional_data' => ['cart' => [1, 2.5, 'three  blanks   here'], 'empty' => []],
];

// A purchase, and the same request again.
[$http, $answer] = call('/api/transaction/purchase/create', $body);
check('the purchase is taken', [$http, $answer['meta']['message']], [200, 'Transaction can be processed!']);
$uuid = $answer['data']['uuid'];
$page = $answer['data']['redirect_url'];
check('the page has the uuid in its address', substr($page, -strlen("/payment/$uuid")), "/payment/$uuid");
check('a repetition is the same', call('/api/transaction/purchase/create', $body)[1]['data'], $answer['data']);
$other = $body;
$other['payment']['price'] = '1.00';
check('another body of the same name is refused', call('/api/transaction/purchase/create', $other)[0], 409);
told($receiver, $uuid, 'created');
check('it is not paid', status($uuid)['status'], 'created');
[$http, $answer] = refund($uuid, '1.00', 'too early');
check('what is not paid is not refunded', [$http, $answer['meta']['success']], [422, false]);

// Somebody pays.
echo "PAY $page $order\n";
flush();
if (fgets(STDIN) === false) {
    throw new RuntimeException('nobody paid');
}
$callback = told($receiver, $uuid, 'success');
check('the callback names the order', $callback['meta'], [
    'payment_id' => $order, 'service_id' => (int) $service, 'signature' => $callback['meta']['signature'],
]);
check('and the amount', $callback['data']['transaction']['amount'], '100.00');
$paid = status($uuid);
check('it is paid', [$paid['status'], $paid['operations'][0]['status']], ['success', 'success']);

// A refund in part, the same request again, and the rest.
[$http, $answer] = refund($uuid, '30.00', 'one ticket came back');
check('the refund is made', [$http, $answer['data']['message']], [200, 'Status: success']);
[, $again] = refund($uuid, '30.00', 'one ticket came back');
check('a repetition refunds nothing', $again['data']['operation']['uuid'], $answer['data']['operation']['uuid']);
told($receiver, $uuid, 'partially_refunded');
check('a part is refunded', status($uuid)['status'], 'partially_refunded');
[$http, $answer] = refund($uuid, '70.01', 'too much');
check('more than is left is refused', [$http, array_keys($answer['errors'])], [422, ['refund.price']]);
check('the rest is refunded', refund($uuid, '70.00', 'the other one, too')[0], 200);
told($receiver, $uuid, 'refunded');
$refunded = status($uuid);
check('all is refunded', [$refunded['status'], count($refunded['operations'])], ['refunded', 3]);

// A payout that the balance cannot bear: all that came in is refunded.
$payout = $body;
$payout['meta']['payment_id'] = "$order-payout";
$payout['company'] = ['name' => 'Zoë Ltd', 'bank_account' => 'DE89370400440532013000'];
[$http, $answer] = call('/api/transaction/payout/create', $payout);
check('the payout is refused', [$http, $answer['meta']['code'], $answer['meta']['success']], [422, 223, false]);

echo "$checks checks, 0 failed\n";
