<?php

// Reads JSON bodies from standard input, one a line, and answers each with a line of JSON: the canonical
// bytes and the signature in both variants. Argument: the secret. The test compares them with its own.

declare(strict_types=1);

require __DIR__ . '/signer.php';

$secret = $argv[1];
while (($line = fgets(STDIN)) !== false) {
    $json = rtrim($line, "\n");
    $body = json_decode($json, true, 512, JSON_THROW_ON_ERROR);
    $answer = [];
    foreach ([GateSigner::RAW, GateSigner::FOLDED] as $variant) {
        $answer[$variant . '_bytes'] = GateSigner::canonical($body, $variant);
        $answer[$variant] = GateSigner::sign($body, $secret, $variant);
    }
    // A body of its own making, and its judgement of one of ours.
    $answer['sealed'] = GateSigner::seal($body, $secret);
    $answer['verified'] = GateSigner::verify($json, $secret);
    echo json_encode($answer, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR), "\n";
}
