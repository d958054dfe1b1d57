"""What the tests need besides the client library: a webhook receiver and a browser without JavaScript."""

import http.cookiejar
import http.server
import queue
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser


def eventually(probe, accept, seconds=15.0):
    """Calls `probe` until `accept` takes its answer, and returns the last answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if accept(answer) or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)


class WebhookReceiver:
    """An HTTP server on a free loopback port that answers 200 and keeps (headers, body) of each POST."""

    def __init__(self):
        received = queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                received.put((self.headers, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.received = received
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait_for(self, accept, seconds=30.0):
        """The first delivery that `accept(headers, body)` takes, or None when it does not come in time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                headers, body = self.received.get(timeout=left)
            except queue.Empty:
                break
            if accept(headers, body):
                return headers, body
        return None

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Forms(HTMLParser):
    """Collects the forms of a page: action, method, and the values that each named control offers."""

    def __init__(self):
        super().__init__()
        self.forms = []
        self._open = False
        self._select = None

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form":
            self._open = True
            method = (attrs.get("method") or "get").lower()
            self.forms.append({"action": attrs.get("action") or "", "method": method, "fields": {}, "hidden": {}})
        elif not self._open:
            return
        elif tag in ("input", "button") and attrs.get("name"):
            self._offer(attrs["name"], attrs.get("value") or "", hidden=attrs.get("type") == "hidden")
        elif tag == "select":
            self._select = attrs.get("name")
        elif tag == "option" and self._select:
            self._offer(self._select, attrs.get("value") or "", hidden=False)

    def handle_endtag(self, tag):
        if tag == "form":
            self._open = False
        elif tag == "select":
            self._select = None

    def _offer(self, name, value, hidden):
        form = self.forms[-1]
        form["fields"].setdefault(name, []).append(value)
        if hidden:
            form["hidden"][name] = value


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


class ChallengePage:
    """A bank's authentication page as a browser without JavaScript sees it."""

    def __init__(self, url):
        self.url = url
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), jar, _NoRedirect)
        with self._browser.open(url, timeout=15) as page:
            self.status = page.status
            parser = _Forms()
            parser.feed(page.read().decode())
        self.forms = parser.forms

    def outcomes(self):
        """Every value that the page offers for `outcome`."""
        return [value for form in self.forms for value in form["fields"].get("outcome", [])]

    def choose(self, outcome):
        """Submits the form that offers `outcome`, with its hidden fields. Returns the status of the answer."""
        form = next(form for form in self.forms if outcome in form["fields"].get("outcome", []))
        assert form["method"] == "post", f"a GET must not change a payment: {form}"
        target = urllib.parse.urljoin(self.url, form["action"])
        fields = {**form["hidden"], "outcome": outcome}
        origin = "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(self.url))
        request = urllib.request.Request(
            target, data=urllib.parse.urlencode(fields).encode(), headers={"Origin": origin, "Referer": self.url}
        )
        try:
            with self._browser.open(request, timeout=15) as answer:
                return answer.status
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code
