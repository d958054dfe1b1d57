<?php

declare(strict_types=1);

/**
 * Signs and checks the JSON bodies of PaymentGate's Gate API. PHP 7.3 or newer, no dependencies.
 *
 *     $body = ['meta' => ['service_id' => 948, 'payment_id' => 'order-1'],
 *              'payment' => ['price' => '100.00', 'currency' => 'EUR']];
 *     $json = GateSigner::seal($body, $secret);     // send this text
 *     GateSigner::verify($callbackText, $secret);   // true when we sent it
 *
 * Give amounts as strings: json_encode() sends the float 100.0 as 100, which is another signature.
 */
final class GateSigner
{
    /** Texts are signed as they are. */
    public const RAW = 'raw';
    /** Texts are trimmed, and runs of white space count as one plus sign. */
    public const FOLDED = 'folded';

    /** The text to send: $body as JSON, with meta.signature in it. */
    public static function seal(array $body, string $secret, string $variant = self::FOLDED): string
    {
        $flags = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR;
        // What the receiver decodes is signed, not what json_encode() was given.
        $decoded = json_decode(json_encode($body, $flags), true, 512, JSON_THROW_ON_ERROR);
        $body['meta']['signature'] = self::sign($decoded, $secret, $variant);
        return json_encode($body, $flags);
    }

    /** Whether $json was signed with $secret, in either variant. */
    public static function verify(string $json, string $secret): bool
    {
        $body = json_decode($json, true);
        $signature = is_array($body) ? ($body['meta']['signature'] ?? null) : null;
        if (!is_string($signature) || $secret === '') {
            return false;
        }
        return hash_equals(self::sign($body, $secret, self::RAW), $signature)
            || hash_equals(self::sign($body, $secret, self::FOLDED), $signature);
    }

    /** The signature of a decoded body; a meta.signature in it does not count. */
    public static function sign(array $body, string $secret, string $variant = self::FOLDED): string
    {
        return hash_hmac('sha512', self::canonical($body, $variant), $secret);
    }

    /** The bytes that are signed. */
    public static function canonical(array $body, string $variant = self::FOLDED): string
    {
        if (is_array($body['meta'] ?? null)) {
            unset($body['meta']['signature']);
        }
        return self::withPrecision(static function () use ($body, $variant): string {
            return serialize(self::sorted($body, $variant));
        });
    }

    /** Keys compare as bytes, those of lists too: 0, 1, 10, 11, 2. */
    private static function sorted(array $values, string $variant): array
    {
        foreach ($values as $key => $value) {
            if (is_array($value)) {
                $values[$key] = self::sorted($value, $variant);
            } elseif (is_string($value) && $variant === self::FOLDED) {
                $values[$key] = preg_replace('/[ \t\n\x0B\f\r]+/', '+', trim($value, " \n\r\t\x0B\0"));
            }
        }
        ksort($values, SORT_STRING);
        return $values;
    }

    /** Floats are written with as few digits as read back the same, whatever php.ini says. */
    private static function withPrecision(callable $work): string
    {
        $before = ini_set('serialize_precision', '-1');
        try {
            return $work();
        } finally {
            if ($before !== false) {
                ini_set('serialize_precision', $before);
            }
        }
    }
}
