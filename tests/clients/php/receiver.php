<?php

declare(strict_types=1);

/**
 * Takes POST requests on a free port of this machine, as a shop's callback handler does. It answers only while
 * wait() runs; until then, requests queue.
 */
final class Receiver
{
    /** Long enough for a loaded machine, short enough to see a hang. */
    private const PATIENCE_S = 60;

    /** @var resource */
    private $socket;
    /** @var string */
    public $url;
    /** @var string[] Bodies as they came, byte for byte. */
    public $bodies = [];
    /** @var array<string, string>[] Headers of each, by their names in lower case. */
    public $headers = [];

    public function __construct()
    {
        $socket = stream_socket_server('tcp://127.0.0.1:0', $code, $message);
        if ($socket === false) {
            throw new RuntimeException("no port: $message");
        }
        $this->socket = $socket;
        $this->url = 'http://' . stream_socket_get_name($socket, false) . '/callback';
    }

    /** The first body, of those that came or come, that $wanted says yes to. */
    public function wait(callable $wanted): string
    {
        return $this->waitWhole($wanted)[1];
    }

    /** The same with its headers in front. */
    public function waitWhole(callable $wanted): array
    {
        $until = time() + self::PATIENCE_S;
        for ($n = 0; ; $n++) {
            while ($n >= count($this->bodies)) {
                if (time() > $until) {
                    throw new RuntimeException('the callback did not come; ' . count($this->bodies) . ' others did');
                }
                $this->take();
            }
            if ($wanted($this->bodies[$n])) {
                return [$this->headers[$n], $this->bodies[$n]];
            }
        }
    }

    private function take(): void
    {
        $connection = @stream_socket_accept($this->socket, 1);
        if ($connection === false) {
            return;
        }
        stream_set_timeout($connection, 10);
        $headers = [];
        while (($line = fgets($connection)) !== false && rtrim($line) !== '') {
            $parts = explode(':', $line, 2);
            if (count($parts) === 2) {
                $headers[strtolower($parts[0])] = trim($parts[1]);
            }
        }
        $this->headers[] = $headers;
        $this->bodies[] = (string) stream_get_contents($connection, (int) ($headers['content-length'] ?? 0));
        fwrite($connection, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        fclose($connection);
    }
}
