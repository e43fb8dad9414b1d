"""A receiver of Towpath's webhooks. It needs `pip install standardwebhooks`, and what creating the webhook answered as `Secret`:

    WEBHOOK_SECRET=whsec_... python3 receiver.py 8500

Standard Webhooks' signature also covers the time, so an old delivery cannot be played again; take this one where you can. The other
one, X-Hub-Signature, is what receivers of SFTP To Go check already.
"""

import hashlib
import hmac
import http.server
import json
import os
import sys

from standardwebhooks import Webhook, WebhookVerificationError

SECRET = os.environ["WEBHOOK_SECRET"]
MOST = 1_000_000
seen = set()  # in earnest: where your work is kept, so that both are written together


def hub_signature_is_right(headers, body):
    expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers.get("X-Hub-Signature", ""))


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        if length > MOST:
            return self.answer(413)
        # the bytes as they came: JSON that is read and written again has another signature
        body = self.rfile.read(length)
        try:
            Webhook(SECRET).verify(body, {name.lower(): value for name, value in self.headers.items()})
        except WebhookVerificationError as error:
            print("refused:", error, flush=True)
            return self.answer(401)
        if not hub_signature_is_right(self.headers, body):
            return self.answer(401)
        # at least once: the same webhook-id is the same delivery
        if self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            event = json.loads(body)
            print(event["Topic"], json.dumps(event["Data"]), flush=True)
        # answer fast, and work afterwards: after ten seconds it counts as failed
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
print("listening on", server.server_port, flush=True)
server.serve_forever()
