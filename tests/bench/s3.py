"""A small S3 client for the offline AWS: fills the bucket, and shows what the S3 side alone can give.

Signature version 4 with an unsigned payload. Large bodies are sent and received without a copy, on several connections at the
same time, as a good S3 client does it."""

import concurrent.futures
import datetime
import hashlib
import hmac
import http.client
import re
import time
import urllib.parse

PART = 16 * 1024 * 1024
PARALLEL = 8


class S3:
    def __init__(self, env):
        self.host = urllib.parse.urlsplit(env["AWS_ENDPOINT_URL"]).netloc
        self.region, self.bucket = env["AWS_REGION"], env["TOWPATH_BUCKET"]
        self.key_id, self.secret = env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]

    def connect(self):
        return http.client.HTTPConnection(self.host, timeout=60)

    def headers(self, method, path, query="", extra=()):
        """Path and query must be percent-encoded already."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        sent = {"host": self.host, "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": now, **dict(extra)}
        names = ";".join(sorted(sent))
        canonical = "\n".join([method, path, query, *(f"{name}:{sent[name]}" for name in sorted(sent)), "", names])
        canonical += "\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        key = b"AWS4" + self.secret.encode()
        for word in [*scope.split("/"), "\n".join(["AWS4-HMAC-SHA256", now, scope, digest])]:
            key = hmac.new(key, word.encode(), hashlib.sha256).digest()
        sent["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.key_id}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
        )
        return sent

    def call(self, connection, method, key, query="", body=None, extra=()):
        path = f"/{self.bucket}/{urllib.parse.quote(key)}"
        headers = self.headers(method, path, query, extra)
        connection.request(method, path + ("?" + query if query else ""), body=body, headers=headers)
        answer = connection.getresponse()
        if answer.status >= 300:
            raise RuntimeError(f"S3 answered {answer.status} to {method} {key}: {answer.read()[:300]}")
        return answer

    def delete(self, key):
        self.call(self.connect(), "DELETE", key).read()

    def fill(self, prefix, first, last):
        """Small objects with numbers as names; for one of several processes."""
        connection = self.connect()
        for number in range(first, last):
            self.call(connection, "PUT", f"{prefix}/file-{number:06}.dat", body=b"x").read()

    def upload_seconds(self, key, body):
        """Multipart, eight parts at a time."""
        started, body = time.monotonic(), memoryview(body)
        upload = re.search(b"<UploadId>(.*?)</UploadId>", self.call(self.connect(), "POST", key, "uploads=").read())
        upload = urllib.parse.quote(upload.group(1).decode(), safe="")

        def part(number):
            piece = body[number * PART : (number + 1) * PART]
            answer = self.call(self.connect(), "PUT", key, f"partNumber={number + 1}&uploadId={upload}", piece)
            answer.read()
            return f"<Part><PartNumber>{number + 1}</PartNumber><ETag>{answer.headers['etag']}</ETag></Part>"

        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            parts = "".join(pool.map(part, range(-(-len(body) // PART))))
        parts = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
        self.call(self.connect(), "POST", key, f"uploadId={upload}", parts.encode()).read()
        return time.monotonic() - started

    def download_seconds(self, key, size):
        """Ranges, eight at a time."""
        started = time.monotonic()

        def fetch(first):
            last = min(first + PART, size) - 1
            answer = self.call(self.connect(), "GET", key, extra={"range": f"bytes={first}-{last}"}.items())
            buffer, got = bytearray(1024 * 1024), 0
            while read := answer.readinto(buffer):
                got += read
            if got != last - first + 1:
                raise RuntimeError("S3 sent too few bytes")

        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(fetch, range(0, size, PART)))
        return time.monotonic() - started
