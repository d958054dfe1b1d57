<?php

declare(strict_types=1);

// How a shop checks a notice (IPN). Run by the gateway's tests: a case as JSON on stdin, "genuine" or "refused" out.

function ipn_is_genuine(string $body, string $timestamp, string $signature, string $secret): bool
{
    $expected = hash_hmac('sha256', $timestamp . '.' . $body, $secret);
    $fresh = ctype_digit($timestamp) && abs(time() - (int) $timestamp) <= 300;
    return $fresh && hash_equals($expected, $signature);
}

$case = json_decode(stream_get_contents(STDIN), true);
$genuine = ipn_is_genuine($case['body'], $case['timestamp'], $case['signature'], $case['secret']);
echo $genuine ? 'genuine' : 'refused', "\n";
