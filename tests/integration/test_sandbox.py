#!/usr/bin/env python3
"""The sandbox against a client that was written apart from it.

usage: test_sandbox.py PROGRAM [ARGUMENT…]   e.g. sandbox_serve, or aurabridge sandbox
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import aurabox_client as aurabox  # noqa: E402

PROGRAM = []
APP_ID, SECRET, KEY = "app-1", "secret-1", "aura_au_key"
LOST = (http.client.HTTPException, ConnectionError, socket.timeout)


class Sandbox:
    def __init__(self, *options, limits=True):
        self.folder = tempfile.TemporaryDirectory()
        self.directory = os.path.join(self.folder.name, "box")
        command = PROGRAM + ["--listen", "127.0.0.1:0", "--directory", self.directory,
                             "--app-id", APP_ID, "--app-secret", SECRET,
                             "--service-api-key", KEY]
        if limits:
            for name in ("exchange", "config", "lifecycle"):
                command += ["--limit-" + name, "1000"]
        self.process = subprocess.Popen(command + list(options), stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.base_url = line.split()[-1] if line else ""

    def client(self):
        return aurabox.Client(self.base_url, APP_ID, SECRET, KEY)

    def path(self, name):
        return os.path.join(self.directory, name)

    def journal(self):
        with open(self.path("requests.jsonl"), encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def close(self):
        self.process.terminate()
        output, _ = self.process.communicate(timeout=30)
        self.folder.cleanup()
        return self.process.returncode, output


class SandboxCase(unittest.TestCase):
    def sandbox(self, *options, limits=True):
        faults = [part for fault in options for part in
                  (("--fault", fault) if not fault.startswith("--") else fault.split("=", 1))]
        box = Sandbox(*faults, limits=limits)

        def close():
            code, _ = box.close()
            self.assertEqual(code, 0, "the sandbox ends with 0 and without a sanitizer's complaint")
        self.addCleanup(close)
        return box

    def started(self, box, **changed):
        client = box.client()
        self.assertEqual(client.exchange().status, 200)
        self.assertEqual(client.config().status, 200)
        upload_id = str(uuid.uuid4())
        self.assertEqual(client.call("POST", "/uploader/upload/init",
                                     aurabox.manifest(upload_id, **changed)).status, 200)
        self.assertEqual(client.upload("start", upload_id, assembly_id="a").status, 200)
        return client, upload_id

    def sent(self, client, upload_id, data):
        answer = client.create(upload_id, len(data))
        self.assertEqual(answer.status, 201, answer.body)
        path = answer.headers["location"]
        self.assertEqual(client.patch(path, 0, data).status, 204)
        return path


class Signing(SandboxCase):
    def test_published_vectors(self):
        body = b'{"ttl":3600,"scopes":["upload:init","upload:manage"]}'
        self.assertIn("4e865169c280c238e93ea51681fdf9e5977ecbf0dc60fbbf0b6b7ccba2005093",
                      aurabox.sign("test-app-id", "test-secret-key", "POST",
                                   "https://aura.example.com/api/auth/exchange", body, 1706140800,
                                   "550e8400-e29b-41d4-a716-446655440000"))
        self.assertIn("cb5f7babcb41cd89292f211ccf88e31cd40057a21dd0dacfbbc543f6a9916723",
                      aurabox.sign("test-app-id", "test-secret-key", "GET",
                                   "https://aura.example.com/api/uploader/config", b"", 1706140800,
                                   "a1b2c3d4-e5f6-4a5b-8c7d-9e0f1a2b3c4d", ""))

    def test_exchange(self):
        box = self.sandbox()
        answer = box.client().exchange({"ttl": 60, "scopes": ["upload:init"], "max_uses": 3})
        self.assertEqual(answer.status, 200)
        reply = answer.json()
        self.assertTrue(reply["token"].startswith("aubt_"))
        self.assertEqual((reply["scopes"], reply["max_uses"]), (["upload:init"], 3))
        self.assertRegex(reply["expires_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")

    def test_refusals(self):
        now = int(time.time())
        rows = [
            (401, "X-Api-Key", {"X_Api_Key": "wrong"}),
            (401, "X-Api-Key", {"X_Api_Key": None}),
            (401, "s off", {"timestamp": now - 400}),
            (401, "s off", {"timestamp": now + 400}),
            (401, "Unix time", {"X_Aura_Timestamp": "yesterday"}),
            (401, "UUID v4", {"nonce": "not-a-uuid"}),
            (401, "UUID v4", {"nonce": "550e8400-e29b-11d4-a716-446655440000"}),
            (401, "Authorization", {"Authorization": None}),
            (401, "Authorization", {"Authorization": "Bearer x"}),
            (401, "signature", {"X_Aura_Nonce": str(uuid.uuid4())}),
            (401, "SignedHeaders", {"Authorization": "AURA-HMAC-SHA256 Credential=app-1,"
                                    "SignedHeaders=host,Signature=" + 64 * "0"}),
            (401, "app id", {"Authorization": "AURA-HMAC-SHA256 Credential=other,"
                             "SignedHeaders=host,Signature=" + 64 * "0"}),
            (406, "Accept", {"Accept": "text/html"}),
            (415, "Content-Type", {"Content_Type": "text/plain"}),
            (422, "scope", {"body": {"scopes": []}}),
            (422, "scope", {"body": {"scopes": ["root"]}}),
            (422, "ttl", {"body": {"scopes": ["upload:init"], "ttl": 86401}}),
            (422, "max_uses", {"body": {"scopes": ["upload:init"], "max_uses": 0}}),
        ]
        box = self.sandbox()
        for status, word, changed in rows:
            with self.subTest(changed):
                answer = box.client().exchange(**changed)
                self.assertEqual(answer.status, status)
                self.assertIn(word, answer.text())

    def test_authorization_has_one_space_and_bare_commas(self):
        box = self.sandbox()
        for old, new in ((" Cred", "  Cred"), (" Cred", "Cred"), (",Signed", ", Signed"),
                         (",Sign", ",,Sign"), ("Signature=", "Signature= "),
                         ("Signature=", "signature=")):
            with self.subTest(new):
                client, nonce, now = box.client(), str(uuid.uuid4()), int(time.time())
                body = json.dumps({"scopes": ["upload:init"]}).encode()
                good = aurabox.sign(APP_ID, SECRET, "POST", box.base_url + "/auth/exchange", body,
                                    now, nonce)
                self.assertIn(old, good)
                answer = client.exchange(body=json.loads(body), timestamp=now, nonce=nonce,
                                         Authorization=good.replace(old, new, 1))
                self.assertEqual(answer.status, 401)
                self.assertIn("must read", answer.text())

    def test_wrong_secret(self):
        box = self.sandbox()
        client = aurabox.Client(box.base_url, APP_ID, "other", KEY)
        answer = client.exchange()
        self.assertEqual(answer.status, 401)
        self.assertIn("signature", answer.json()["error"]["message"])

    def test_nonce_once_even_after_failure(self):
        box = self.sandbox()
        nonce = str(uuid.uuid4())
        self.assertEqual(box.client().exchange(nonce=nonce, body={"scopes": []}).status, 422)
        answer = box.client().exchange(nonce=nonce)
        self.assertEqual(answer.status, 401)
        self.assertIn("nonce", answer.text())

    def test_skew(self):
        box = self.sandbox("skew:+600")
        answer = box.client().exchange()
        self.assertEqual(answer.status, 401)
        self.assertIn("-600 s", answer.text().replace("-599", "-600").replace("-601", "-600"))
        date = time.mktime(time.strptime(answer.headers["date"], "%a, %d %b %Y %H:%M:%S GMT"))
        self.assertAlmostEqual(date - time.mktime(time.gmtime()), 600, delta=3)
        self.assertEqual(box.client().exchange(timestamp=int(time.time()) + 600).status, 200)


class Tokens(SandboxCase):
    def test_scope_uses_and_garbage(self):
        box = self.sandbox()
        client = box.client()
        client.exchange({"scopes": ["integration:read"], "max_uses": 3})
        self.assertEqual(client.config().status, 200)
        self.assertEqual(client.upload("cancel", str(uuid.uuid4())).status, 403)
        self.assertEqual(client.config().status, 200)
        answer = client.config()
        self.assertEqual(answer.status, 401)
        self.assertIn("uses", answer.text())
        client.token = "aubt_forged"
        self.assertEqual(client.config().status, 401)
        self.assertEqual(client.call("GET", "/uploader/config", X_Api_Key="x").status, 401)
        self.assertEqual(client.call("GET", "/uploader/config", Accept="*/*").status, 406)

    def test_expiry(self):
        box = self.sandbox()
        client = box.client()
        client.exchange({"scopes": aurabox.SCOPES, "ttl": 1})
        deadline = time.monotonic() + 10
        while client.config().status == 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertIn("expired", client.config().text())

    def test_limits(self):
        box = self.sandbox("--limit-config=3", limits=False)
        client = box.client()
        client.exchange()
        self.assertEqual([client.config().status for _ in range(4)], [200, 200, 200, 429])
        answer = client.config()
        self.assertIn(int(answer.headers["retry-after"]), range(50, 61))
        limits = client.state()["limits"]
        self.assertEqual(limits["config"], {"limit": 3, "maximum": 5, "refused": 2})
        self.assertEqual(limits["exchange"], {"limit": 10, "maximum": 1, "refused": 0})
        self.assertEqual(limits["lifecycle"]["limit"], 60)


class Lifecycle(SandboxCase):
    def test_whole_upload(self):
        box = self.sandbox()
        client, upload_id = self.started(box)
        data = aurabox.archive()
        self.sent(client, upload_id, data)
        self.assertEqual(client.upload("complete", upload_id, assembly_id="a").status, 200)
        self.assertEqual(client.upload("complete", upload_id, assembly_id="a").status, 409)
        with open(box.path(upload_id + ".zip"), "rb") as kept:
            self.assertEqual(kept.read(), data)
        with open(box.path(upload_id + ".json"), encoding="utf-8") as kept:
            self.assertEqual(json.load(kept), aurabox.manifest(upload_id))
        line = box.process.stdout.readline()
        self.assertRegex(line, r"^received study 1\.2\.3: 2 instances, %d bytes, upload %s, "
                               r"\d+\.\d s$" % (len(data), upload_id))
        upload = client.state()["uploads"][0]
        self.assertEqual((upload["state"], upload["instances"], upload["bytes"]),
                         ("completed", 2, len(data)))

    def test_head_after_complete(self):
        box = self.sandbox()
        client, upload_id = self.started(box)
        data = aurabox.archive()
        path = self.sent(client, upload_id, data)
        self.assertEqual(client.upload("complete", upload_id, assembly_id="a").status, 200)
        self.assertEqual(client.offset(path), len(data))

    def test_order(self):
        box = self.sandbox()
        client = box.client()
        client.exchange()
        client.config()
        upload_id = str(uuid.uuid4())
        for call in ("start", "complete"):
            self.assertEqual(client.upload(call, upload_id, assembly_id="a").status, 404)
        self.assertEqual(client.upload("error", upload_id, message="x").status, 404)
        self.assertEqual(client.upload("cancel", upload_id).status, 404)
        body = aurabox.manifest(upload_id)
        first = client.call("POST", "/uploader/upload/init", body)
        again = client.call("POST", "/uploader/upload/init", body)
        self.assertEqual((first.status, again.status), (200, 200))
        self.assertEqual(first.json(), again.json())
        self.assertTrue(first.json()["studies"][0]["id"])
        other = aurabox.manifest(upload_id, images=3)
        self.assertEqual(client.call("POST", "/uploader/upload/init", other).status, 409)
        self.assertEqual(client.upload("complete", upload_id, assembly_id="a").status, 409)
        self.assertEqual(client.create(upload_id, 10).status, 409)
        for assembly_id, status in (("a", 200), ("a", 200), ("b", 409)):
            self.assertEqual(client.upload("start", upload_id, assembly_id=assembly_id).status,
                             status)
        self.assertEqual(client.upload("complete", upload_id, assembly_id="b").status, 422)
        self.assertEqual(client.upload("complete", upload_id, assembly_id="a").status, 409)
        self.assertEqual(client.upload("error", upload_id, message="broken").status, 200)
        self.assertEqual(client.upload("error", upload_id, message="broken").status, 200)
        self.assertEqual(client.upload("cancel", upload_id).status, 409)
        self.assertEqual(client.upload("start", upload_id, assembly_id="a").status, 409)
        self.assertEqual(client.call("POST", "/uploader/upload/init", body).status, 409)

    def test_incomplete_file(self):
        box = self.sandbox()
        client, upload_id = self.started(box)
        data = aurabox.archive()
        path = client.create(upload_id, len(data)).headers["location"]
        self.assertEqual(client.patch(path, 0, data[:100]).status, 204)
        self.assertEqual(client.upload("complete", upload_id, assembly_id="a").status, 409)
        self.assertEqual(client.patch(path, 100, data[100:]).status, 204)
        self.assertEqual(client.upload("complete", upload_id, assembly_id="a").status, 200)

    def test_bad_archives(self):
        good = aurabox.archive()
        broken = bytearray(good)
        broken[200] ^= 1
        rows = [
            ("two few", aurabox.archive(images=1), "announced"),
            ("two many", aurabox.archive(images=3), "announced"),
            ("foreign study", aurabox.archive(names=["1.2.3/a.dcm", "1.2.4/b.dcm"]), "no announced"),
            ("no folder", aurabox.archive(names=["a.dcm", "b.dcm"]), "not named"),
            ("deeper", aurabox.archive(names=["1.2.3/x/a.dcm", "1.2.3/b.dcm"]), "not named"),
            ("no .dcm", aurabox.archive(names=["1.2.3/a", "1.2.3/b.dcm"]), "not named"),
            ("CRC", bytes(broken), "CRC"),
            ("cut", good[:-30], ""),
            ("no zip", b"x" * 1000, ""),
            ("no Part 10", aurabox.archive(magic=b"dicm"), "Part 10"),
        ]
        box = self.sandbox()
        for name, data, word in rows:
            with self.subTest(name):
                client, upload_id = self.started(box)
                self.sent(client, upload_id, data)
                answer = client.upload("complete", upload_id, assembly_id="a")
                self.assertEqual(answer.status, 422)
                self.assertIn(word, answer.json()["errors"]["upload"][0])
                self.assertFalse(os.path.exists(box.path(upload_id + ".zip")))

    def test_error_without_patient_data(self):
        box = self.sandbox()
        client, upload_id = self.started(box)
        name = aurabox.manifest(upload_id)["studies"]["1.2.3"]["patient_name"]
        self.assertEqual(client.upload("error", upload_id, message="no " + name).status, 422)
        self.assertEqual(client.upload("error", upload_id, message="too large").status, 200)
        self.assertEqual(client.state()["uploads"][0]["state"], "failed")

    def test_foreign_tus(self):
        box = self.sandbox("--tus-endpoint=http://127.0.0.1:9/files/")
        client, upload_id = self.started(box)
        self.assertEqual(client.lift["endpoint"], "http://127.0.0.1:9/files/")
        self.assertEqual(client.upload("complete", upload_id, assembly_id="a").status, 200)


class Tus(SandboxCase):
    def test_capabilities_and_refusals(self):
        box = self.sandbox("tus-max-size:5000")
        client, upload_id = self.started(box)
        options = client.tus("OPTIONS", client.endpoint_path())
        self.assertEqual(options.status, 204)
        self.assertEqual(options.headers["tus-max-size"], "5000")
        self.assertIn("creation", options.headers["tus-extension"])
        path = client.create(upload_id, 1000).headers["location"]
        rows = [
            (413, client.create(upload_id, 5001)),
            (400, client.create(upload_id, "many")),
            (400, client.create(upload_id, 10, bucket="other")),
            (400, client.create(upload_id, 10, filetype=None)),
            (400, client.create(upload_id, 10, surprise="x")),
            (400, client.create(upload_id, 10, name="x.zip")),
            (400, client.create(str(uuid.uuid4()), 10)),
            (412, client.tus("HEAD", path, Tus_Resumable="0.2.2")),
            (401, client.tus("HEAD", path, Authorization=None)),
            (403, client.tus("HEAD", path, Authorization="Bearer wrong")),
            (404, client.tus("HEAD", client.endpoint_path() + "nothing")),
            (409, client.patch(path, 1, b"x")),
            (413, client.patch(path, 0, b"x" * 1001)),
            (415, client.patch(path, 0, b"x", Content_Type="application/json")),
            (405, client.tus("GET", path)),
        ]
        for at, (status, answer) in enumerate(rows):
            self.assertEqual(answer.status, status, (at, answer.body))
        head = client.tus("HEAD", path)
        self.assertEqual((head.headers["upload-offset"], head.headers["upload-length"],
                          head.headers["cache-control"]), ("0", "1000", "no-store"))

    def test_override_and_termination(self):
        box = self.sandbox()
        client, upload_id = self.started(box)
        path = client.create(upload_id, 5).headers["location"]
        answer = client.tus("POST", path, b"hello", Upload_Offset=0,
                            Content_Type="application/offset+octet-stream",
                            X_HTTP_Method_Override="PATCH")
        self.assertEqual((answer.status, answer.headers["upload-offset"]), (204, "5"))
        self.assertEqual(client.tus("DELETE", path).status, 204)
        self.assertEqual(client.tus("HEAD", path).status, 410)
        self.assertEqual(os.listdir(box.path("tus")), [])

    def test_lift_token_expires(self):
        box = self.sandbox("lift-ttl:1")
        client, upload_id = self.started(box)
        path = client.create(upload_id, 5).headers["location"]
        deadline = time.monotonic() + 10
        while client.tus("HEAD", path).status == 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(client.tus("HEAD", path).status, 401)
        client.config()
        self.assertEqual(client.offset(path), 0)

    def test_upload_expires(self):
        box = self.sandbox("tus-expires:1")
        client, upload_id = self.started(box)
        answer = client.create(upload_id, 5)
        self.assertIn("GMT", answer.headers["upload-expires"])
        deadline = time.monotonic() + 10
        while client.tus("HEAD", answer.headers["location"]).status == 200:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        self.assertEqual(client.tus("HEAD", answer.headers["location"]).status, 410)

    def test_broken_connection_keeps_what_came(self):
        box = self.sandbox()
        client, upload_id = self.started(box)
        path = client.create(upload_id, 300000).headers["location"]
        host, port = client.base.netloc.split(":")
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(("PATCH %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\n"
                          "Authorization: Bearer %s\r\nUpload-Offset: 0\r\n"
                          "Content-Type: application/offset+octet-stream\r\n"
                          "Content-Length: 300000\r\n\r\n" % (path, client.lift["token"])).encode()
                         + b"z" * 200000)
            deadline = time.monotonic() + 10
            while client.state()["tus_files"][0]["upload_offset"] < 200000:
                self.assertLess(time.monotonic(), deadline)
            self.assertEqual(client.tus("HEAD", path).status, 423)
            self.assertEqual(client.patch(path, 200000, b"x").status, 423)
        while client.tus("HEAD", path).status == 423:
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(client.offset(path), 200000)
        self.assertEqual(client.patch(path, 200000, b"z" * 100000).status, 204)
        broken = [e for e in box.journal() if e["method"] == "PATCH" and e["status"] == 0]
        self.assertEqual([e["body_bytes"] for e in broken], [200000])

    def test_large_body_at_several_connections(self):
        box = self.sandbox()
        size = 20 * 1024 * 1024
        client, upload_id = self.started(box)
        results = []

        def send():
            path = client.create(upload_id, size).headers["location"]
            results.append(client.patch(path, 0, b"q" * size).status)
        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, [204] * 4)


class Faults(SandboxCase):
    def test_status_so_many_times(self):
        box = self.sandbox("POST /uploader/upload/init:503:2", "GET /uploader/config:429",
                           "POST /auth/exchange:401")
        client = box.client()
        self.assertEqual(client.exchange().json()["error"]["message"],
                         "A fault was asked for: 401.")
        client.exchange()
        limited = client.config()
        self.assertEqual((limited.status, limited.headers["retry-after"]), (429, "1"))
        body = aurabox.manifest(str(uuid.uuid4()))
        self.assertEqual([client.call("POST", "/uploader/upload/init", body).status
                          for _ in range(3)], [503, 503, 200])
        self.assertEqual(client.state()["refused"], 0)
        statuses = [e["status"] for e in box.journal() if e["path"].endswith("/init")]
        self.assertEqual(statuses, [503, 503, 200])

    def test_drop_does_the_work(self):
        box = self.sandbox("POST /uploader/upload/complete:drop")
        client, upload_id = self.started(box)
        self.sent(client, upload_id, aurabox.archive())
        with self.assertRaises(LOST):
            client.upload("complete", upload_id, assembly_id="a")
        self.assertEqual(client.state()["uploads"][0]["state"], "completed")
        self.assertEqual(client.upload("complete", upload_id, assembly_id="a").status, 409)

    def test_cut_keeps_so_many_bytes(self):
        box = self.sandbox("PATCH:cut:65536", "PATCH:cut:100000:2")
        client, upload_id = self.started(box)
        data = aurabox.archive(size=300000)
        path = client.create(upload_id, len(data)).headers["location"]
        start = 0
        for expected in (65536, 165536, 265536):
            with self.assertRaises(LOST):
                client.patch(path, start, data[start:])
            while client.tus("HEAD", path).status == 423:
                time.sleep(0.01)
            start = client.offset(path)
            self.assertEqual(start, expected)
        self.assertEqual(client.patch(path, start, data[start:]).status, 204)
        self.assertEqual(client.upload("complete", upload_id, assembly_id="a").status, 200)

    def test_html_lose_and_config(self):
        box = self.sandbox("POST /uploader/upload/start:html", "tus-lose:100",
                           "config-without:bucket", "config-assembly:as-1",
                           "tus-location:absolute", "token-prefix:xyz_")
        client = box.client()
        self.assertTrue(client.exchange().json()["token"].startswith("xyz_"))
        self.assertNotIn("bucket", client.config().json()["lift"])
        lift = client.config().json()["lift"]
        self.assertEqual((lift["assembly_id"], lift["bucket"]), ("as-1", "sandbox-bucket"))
        upload_id = str(uuid.uuid4())
        client.call("POST", "/uploader/upload/init", aurabox.manifest(upload_id))
        html = client.upload("start", upload_id, assembly_id="as-1")
        self.assertEqual((html.status, html.headers["content-type"][:9]), (200, "text/html"))
        self.assertEqual(client.state()["uploads"][0]["state"], "announced")
        refused = client.upload("start", upload_id, assembly_id="of-my-own")
        self.assertEqual((refused.status, "config" in refused.text()), (422, True))
        self.assertEqual(client.upload("start", upload_id, assembly_id="as-1").status, 200)
        location = client.create(upload_id, 200).headers["location"]
        self.assertTrue(location.startswith("http://%s/files/" % client.base.netloc))
        path = location[len("http://" + client.base.netloc):]
        self.assertEqual(client.patch(path, 0, b"x" * 150).status, 204)
        self.assertEqual(client.tus("HEAD", path).status, 410)
        path = client.create(upload_id, 200).headers["location"]
        path = path[len("http://" + client.base.netloc):]
        self.assertEqual(client.patch(path, 0, b"x" * 150).status, 204)
        self.assertEqual(client.offset(path), 150)

    def test_truncate_does_the_work(self):
        box = self.sandbox("POST /uploader/upload/complete:truncate:5", "PATCH:truncate:0",
                           "GET /uploader/config:truncate:20")
        client = box.client()
        client.exchange()
        with self.assertRaises(http.client.IncompleteRead) as cut:
            client.config()
        self.assertEqual(len(cut.exception.partial), 20)
        client, upload_id = self.started(box)
        data = aurabox.archive()
        path = client.create(upload_id, len(data)).headers["location"]
        with self.assertRaises(http.client.IncompleteRead):
            client.patch(path, 0, data)
        self.assertEqual(client.offset(path), len(data))
        with self.assertRaises(http.client.IncompleteRead):
            client.upload("complete", upload_id, assembly_id="a")
        self.assertEqual(client.state()["uploads"][-1]["state"], "completed")

    def test_answers_without_end(self):
        box = self.sandbox("GET /uploader/config:endless", "GET /uploader/config:drip:20")
        client = box.client()
        client.exchange()
        headers = {"Accept": "application/json", "X-Api-Key": KEY,
                   "Authorization": "Bearer " + client.token}
        for at_least in (1000000, 5):
            connection = http.client.HTTPConnection(client.base.netloc, timeout=30)
            connection.request("GET", "/api/uploader/config", headers=headers)
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.read(at_least)), (200, b" " * at_least))
            connection.close()
        self.assertEqual(client.config().status, 200)

    def test_hang_and_stop(self):
        box = self.sandbox("POST /uploader/upload/start:hang", "HEAD:hang", "GET:hang:*")
        client = box.client()
        connection = socket.create_connection((client.base.hostname, client.base.port), timeout=30)
        connection.sendall(b"GET /api/uploader/config HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.settimeout(0.5)
        with self.assertRaises(socket.timeout):
            connection.recv(1)
        connection.close()
        with socket.create_connection((client.base.hostname, client.base.port)) as connection:
            connection.sendall(b"GET /api/uploader/config HTTP/1.1\r\nHost: a\r\n\r\n")
            begun = time.monotonic()
            box.process.terminate()  # does not wait for those that hang
            box.process.wait(timeout=20)
            self.assertLess(time.monotonic() - begun, 10)

    def test_revoke_is_of_the_token_that_is_sent(self):
        box = self.sandbox("POST /uploader/upload/start:revoke", "PATCH:revoke")
        client = box.client()
        client.exchange()
        client.config()
        upload_id = str(uuid.uuid4())
        client.call("POST", "/uploader/upload/init", aurabox.manifest(upload_id))
        self.assertEqual(client.upload("start", upload_id, assembly_id="a").status, 401)
        self.assertEqual(client.upload("start", upload_id, assembly_id="a").status, 401)
        client.exchange()
        self.assertEqual(client.upload("start", upload_id, assembly_id="a").status, 200)
        data = aurabox.archive()
        path = client.create(upload_id, len(data)).headers["location"]
        self.assertEqual(client.patch(path, 0, data).status, 401)
        self.assertEqual(client.tus("HEAD", path).status, 401)
        client.config()
        self.assertEqual(client.patch(path, 0, data).status, 204)

    def test_forget_and_rewind(self):
        box = self.sandbox("POST /uploader/upload/complete:forget", "tus-rewind:100")
        client, upload_id = self.started(box)
        data = aurabox.archive()
        path = client.create(upload_id, len(data)).headers["location"]
        self.assertEqual(client.patch(path, 0, data[:200]).status, 204)
        self.assertEqual(client.offset(path), 0)
        self.assertEqual(client.patch(path, 0, data).status, 204)
        self.assertEqual(client.upload("complete", upload_id, assembly_id="a").status, 404)
        self.assertEqual(client.tus("HEAD", path).status, 410)
        self.assertEqual(client.create(upload_id, 10).status, 400)
        self.assertEqual(client.call("POST", "/uploader/upload/init",
                                     aurabox.manifest(upload_id)).status, 200)
        self.assertEqual(client.upload("start", upload_id, assembly_id="b").status, 200)
        self.sent(client, upload_id, data)
        self.assertEqual(client.upload("complete", upload_id, assembly_id="b").status, 200)

    def test_faults_of_one_study(self):
        box = self.sandbox("POST /uploader/upload/init@1.2.4:403", "HEAD@1.2.4:500:*",
                           "POST /files@1.2.4:423", "POST /uploader/upload/complete@1.2.4:502",
                           "retry-after:0", "POST /uploader/upload/start@1.2.4:429")
        data = {uid: aurabox.archive(study_uid=uid) for uid in ("1.2.3", "1.2.4")}
        good, good_id = self.started(box)
        bad, bad_id = box.client(), str(uuid.uuid4())
        bad.exchange()
        bad.config()
        self.assertEqual([bad.call("POST", "/uploader/upload/init",
                                   aurabox.manifest(bad_id, study_uid="1.2.4")).status
                          for _ in range(2)], [403, 200])
        limited = bad.upload("start", bad_id, assembly_id="a")
        self.assertEqual((limited.status, limited.headers.get("retry-after")), (429, None))
        self.assertEqual(bad.upload("start", bad_id, assembly_id="a").status, 200)
        path = self.sent(good, good_id, data["1.2.3"])
        self.assertEqual(good.tus("HEAD", path).status, 200)
        self.assertEqual(bad.create(bad_id, 10).status, 423)
        path = self.sent(bad, bad_id, data["1.2.4"])
        self.assertEqual(bad.tus("HEAD", path).status, 500)
        self.assertEqual(good.upload("complete", good_id, assembly_id="a").status, 200)
        self.assertEqual([bad.upload("complete", bad_id, assembly_id="a").status
                          for _ in range(2)], [502, 200])

    def test_faults_come_and_go_while_it_runs(self):
        box = self.sandbox()
        client = box.client()
        client.exchange()
        key = {"X-Api-Key": KEY}
        self.assertEqual(client.request("POST", "/sandbox/faults", b"GET:404").status, 401)
        self.assertEqual(client.request("DELETE", "/sandbox/faults").status, 401)
        self.assertEqual(client.config().status, 200)
        self.assertEqual(client.request("POST", "/sandbox/faults", b"GET:404:*\nPOST:503:*\n",
                                        key).status, 204)
        self.assertEqual(client.config().status, 404)
        self.assertEqual(client.exchange().status, 503)
        refused = client.request("POST", "/sandbox/faults", b"skew:5", key)
        self.assertEqual(refused.status, 400)
        self.assertIn("skew", refused.text())
        self.assertEqual(client.request("DELETE", "/sandbox/faults", headers=key).status, 204)
        self.assertEqual(client.config().status, 200)

    def test_behind_a_proxy_that_speaks_tls(self):
        box = self.sandbox("tus-location:absolute")
        client, upload_id = self.started(box)
        answer = client.call("GET", "/uploader/config", X_Forwarded_Proto="https")
        self.assertEqual(answer.json()["lift"]["endpoint"],
                         "https://%s/files/" % client.base.netloc)
        location = client.create(upload_id, 10).headers["location"]
        self.assertTrue(location.startswith("http://"))

    def test_bad_texts_are_refused(self):
        for text in ("", "POST", "POST /x:999", "PATCH:cut", "PATCH:cut:x", "skew:soon",
                     "POST /x:503:0", "a:b:c:d:e", "tus-lose", "tus-location:nowhere",
                     "tus-rewind:x", "HEAD@:hang", "GET:truncate"):
            with self.subTest(text):
                process = subprocess.run(
                    PROGRAM + ["--listen", "127.0.0.1:0", "--directory", tempfile.gettempdir(),
                               "--app-id", "a", "--app-secret", "b", "--service-api-key", "c",
                               "--fault", text],
                    capture_output=True, text=True, timeout=30, check=False)
                self.assertNotEqual(process.returncode, 0)
                self.assertIn("fault", process.stderr)


class Border(SandboxCase):
    def test_unknown_calls_and_large_bodies(self):
        box = self.sandbox()
        client = box.client()
        client.exchange()
        self.assertEqual(client.request("GET", "/").status, 404)
        self.assertEqual(client.request("GET", "/api/auth/exchange").status, 405)
        self.assertEqual(client.request("GET", "/" + "x" * 5000).status, 414)
        self.assertEqual(client.call("POST", "/uploader/upload/init",
                                     b" " * (16 * 1024 * 1024 + 1)).status, 413)
        self.assertEqual(client.call("POST", "/uploader/upload/init", b"").status, 400)
        self.assertEqual(client.call("POST", "/uploader/upload/init", b"[1]").status, 400)
        self.assertEqual(client.call("POST", "/uploader/upload/init", b'{"a"').status, 400)
        self.assertEqual(client.call("POST", "/uploader/upload/init", b'{"a":"\xff"}').status, 422)

    def test_journal_has_no_secret(self):
        box = self.sandbox()
        client, upload_id = self.started(box)
        client.create(upload_id, 10)
        with open(box.path("requests.jsonl"), encoding="utf-8") as lines:
            text = lines.read()
        for secret in (client.token, client.lift["token"], SECRET, KEY):
            self.assertNotIn(secret, text)
        self.assertEqual([e["upload_id"] for e in box.journal()][2:], [upload_id] * 3)


if __name__ == "__main__":
    PROGRAM = sys.argv[1:]
    unittest.main(argv=sys.argv[:1], verbosity=1)
