"""The requests of Google's XML API that fake-gcs-server 1.54.0 does not know, before its JSON API: `XmlApi(emulator, account)`.

The emulator answers GET, HEAD, DELETE and listings of the XML API itself; those pass as they are. It refuses the PUT of an object and uploads in parts (400
`invalid uploadType`), calls a missing bucket an error of its own (500), takes no notice of `If-Match` and asks nobody who he is. So here
- a PUT becomes an insert of the JSON API in its form of two parts: `x-goog-if-generation-match` becomes `ifGenerationMatch`, which the emulator judges, under
  its own lock (in the plain form it takes no notice of it, with 200: `XmlApi.plain` is that weak server);
- the parts of an upload are kept until it is completed, with Google's rules for number, entity tag and size, and are then inserted as one object;
- a bearer token has to be the account's own: a JWT of RS256 with its issuer, scope and time, signed by its key (https://google.aip.dev/auth/4111).
Formats: https://cloud.google.com/storage/docs/xml-api/reference-methods. Not there: signed URLs, pages of listings.
"""
import base64
import hashlib
import http.client
import http.server
import itertools
import json
import secrets
import subprocess
import threading
import time
import xml.etree.ElementTree as ElementTree
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

EMAIL, KEY_ID, SCOPE = "check@tuwen.iam.gserviceaccount.com", "key-1", "https://www.googleapis.com/auth/cloud-platform"
CONTENT, LEAST_PART = "application/octet-stream", 5 << 20
# PKCS #1 v1.5: what stands before a SHA-256 digest that is signed (RFC 8017, 9.2).
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
PASSED_ON = ("content-length", "content-type", "content-range", "etag", "last-modified", "x-goog-generation", "x-goog-hash")


class Account:
    """A service account with a key of 2,048 bits that was drawn just now."""

    def __init__(self):
        self.pem = subprocess.run(["openssl", "genrsa", "2048"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
        shown = subprocess.run(["openssl", "rsa", "-noout", "-modulus"], check=True, input=self.pem, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.modulus = int(shown.stdout.strip().split("=")[1], 16)

    def write(self, path, port):
        """The file that GOOGLE_SERVICE_ACCOUNT leads to."""
        fields = {"type": "service_account", "client_email": EMAIL, "private_key_id": KEY_ID, "private_key": self.pem}
        path.write_text(json.dumps({**fields, "gcs_base_url": f"http://127.0.0.1:{port}"}))
        return str(path)

    def signed(self, token):
        """Whether a JWT is of this account, signed with its key, and of this hour."""
        try:
            message, signature = token.rsplit(".", 1)
            header, claims = (json.loads(unpadded(part)) for part in message.split("."))
            found = pow(int.from_bytes(unpadded(signature), "big"), 65537, self.modulus).to_bytes(256, "big")
        except (ValueError, OverflowError):
            return False
        digest = DIGEST_INFO + hashlib.sha256(message.encode()).digest()
        expected = b"\x00\x01" + b"\xff" * (256 - 3 - len(digest)) + b"\x00" + digest
        named = (header.get("alg"), header.get("kid"), claims.get("iss"), claims.get("scope")) == ("RS256", KEY_ID, EMAIL, SCOPE)
        return found == expected and named and claims["iat"] - 60 < time.time() < claims["exp"] <= claims["iat"] + 3600


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status, code):
        super().__init__(code)
        self.status, self.code = status, code


class XmlApi(http.server.ThreadingHTTPServer):
    """Listens on a free port. `plain`: inserts in the plain form. `uploads`: those that are not completed. `joined`: the objects that came in parts."""
    daemon_threads, request_queue_size = True, 64

    def __init__(self, emulator, account):
        super().__init__(("127.0.0.1", 0), Requests)
        self.emulator, self.account, self.plain = emulator, account, False
        self.uploads, self.joined, self.refused, self.numbers = {}, set(), 0, itertools.count(1)
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.shutdown()
        self.server_close()
        self.thread.join()

    def ask(self, method, path, body=b"", headers=None):
        """Status, headers and body of the emulator's answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.emulator, timeout=60)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def insert(self, bucket, key, body, generation=None):
        """Entity tag and generation of an object that the emulator made."""
        condition = "" if generation is None else f"&ifGenerationMatch={int(generation)}"
        path = f"/upload/storage/v1/b/{bucket}/o?name={quote(key, safe='')}{condition}&uploadType="
        if self.plain:
            status, _, answer = self.ask("POST", f"{path}media", body, {"Content-Type": CONTENT})
        else:
            edge = secrets.token_hex(16)
            opened = f"--{edge}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{edge}\r\nContent-Type: {CONTENT}\r\n\r\n"
            whole = b"".join((opened.encode(), body, f"\r\n--{edge}--\r\n".encode()))
            status, _, answer = self.ask("POST", f"{path}multipart", whole, {"Content-Type": f'multipart/related; boundary="{edge}"'})
        if status != 200:
            raise Refusal(status, {404: "NoSuchBucket", 412: "PreconditionFailed"}.get(status, "InternalError"))
        made = json.loads(answer)
        return f'"{made["etag"]}"', made["generation"]

    def need_bucket(self, bucket):
        if self.ask("GET", f"/storage/v1/b/{bucket}")[0] == 404:
            raise Refusal(404, "NoSuchBucket")


class Requests(http.server.BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm, wbufsize = "HTTP/1.1", True, -1

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_request(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        bucket, _, key = (unquote(part) for part in parts.path[1:].partition("/"))
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        try:
            if not self.server.account.signed(self.headers.get("authorization", "").removeprefix("Bearer ")):
                self.server.refused += 1
                raise Refusal(401, "AuthenticationRequired")
            if self.command in ("PUT", "POST") and self.headers.get("content-length") is None:
                raise Refusal(411, "MissingContentLength")
            self.respond(bucket, key, query, body)
        except Refusal as refusal:
            text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{refusal.code}</Code><Message>{refusal.code}</Message></Error>"
            self.answer(refusal.status, text.encode(), {"Content-Type": "application/xml; charset=UTF-8"})

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request

    def respond(self, bucket, key, query, body):
        upload = (bucket, key, query.get("uploadId"))
        if self.command == "PUT" and upload[2]:
            self.put_part(upload, int(query["partNumber"]), body)
        elif self.command == "PUT":
            tag, generation = self.server.insert(bucket, key, body, self.headers.get("x-goog-if-generation-match"))
            self.answer(200, headers={"ETag": tag, "x-goog-generation": generation})
        elif self.command == "POST" and "uploads" in query:
            self.initiate(bucket, key)
        elif self.command == "POST" and upload[2]:
            self.complete(upload, body)
        elif self.command == "DELETE" and upload[2]:
            with self.server.lock:
                self.server.uploads.pop(upload, None)
            self.answer(204)
        else:
            self.pass_on(bucket, key)

    def pass_on(self, bucket, key):
        if not key:
            self.server.need_bucket(bucket)
        headers = {"Range": self.headers["range"]} if "range" in self.headers else {}
        status, found, body = self.server.ask(self.command, self.path, headers=headers)
        if status < 300 and self.headers.get("if-match", found.get("etag")) != found.get("etag"):
            raise Refusal(412, "PreconditionFailed")
        self.answer(status, body, {name: value for name, value in found.items() if name.lower() in PASSED_ON})

    def initiate(self, bucket, key):
        self.server.need_bucket(bucket)
        name = f"upload/{next(self.server.numbers)}"
        with self.server.lock:
            self.server.uploads[bucket, key, name] = {}
        self.answer_xml("InitiateMultipartUploadResult", Bucket=bucket, Key=key, UploadId=name)

    def put_part(self, upload, number, body):
        tag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        with self.server.lock:
            if upload not in self.server.uploads:
                raise Refusal(404, "NoSuchUpload")
            self.server.uploads[upload][number] = (tag, body)
        self.answer(200, headers={"ETag": tag})

    def complete(self, upload, body):
        listed = [(int(part.findtext("{*}PartNumber")), part.findtext("{*}ETag")) for part in ElementTree.fromstring(body)]
        with self.server.lock:
            parts = self.server.uploads.get(upload)
        if parts is None:
            raise Refusal(404, "NoSuchUpload")
        if any(parts.get(number, ("",))[0] != tag for number, tag in listed):
            raise Refusal(400, "InvalidPart")
        if [number for number, _ in listed] != sorted({number for number, _ in listed}):
            raise Refusal(400, "InvalidPartOrder")
        pieces = [parts[number][1] for number, _ in listed]
        if any(len(piece) < LEAST_PART for piece in pieces[:-1]):
            raise Refusal(400, "EntityTooSmall")
        bucket, key, _ = upload
        tag, _ = self.server.insert(bucket, key, b"".join(pieces))
        with self.server.lock:
            self.server.uploads.pop(upload, None)
            self.server.joined.add(key)
        self.answer_xml("CompleteMultipartUploadResult", Location=f"http://storage.googleapis.com/{bucket}/{key}", Bucket=bucket, Key=key, ETag=tag)

    def answer_xml(self, name, **fields):
        inner = "".join(f"<{field}>{escape(value)}</{field}>" for field, value in fields.items())
        text = f"<?xml version='1.0' encoding='UTF-8'?><{name} xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>{inner}</{name}>"
        self.answer(200, text.encode(), {"Content-Type": "application/xml; charset=UTF-8"})
