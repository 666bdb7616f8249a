"""An Aurabox client of its own: AURA-HMAC-SHA256, the upload calls and Tus, in Python alone.

It shares no line with the bridge, so that a test which uses it checks the sandbox (and its reading
of the protocol) against a second implementation. Standard library only.
"""

import base64
import hashlib
import hmac
import http.client
import io
import json
import re
import time
import urllib.parse
import uuid
import zipfile

ALGORITHM = "AURA-HMAC-SHA256"
SCOPES = ["upload:init", "upload:manage", "integration:read"]
KEPT = "-_.!~*'()"


def sign(app_id, app_secret, method, url, body, timestamp, nonce, content_type="application/json"):
    """The value of Authorization for one call."""
    parts = urllib.parse.urlsplit(url)
    headers = {"host": parts.netloc, "x-aura-nonce": nonce, "x-aura-timestamp": str(timestamp)}
    if content_type:
        headers["content-type"] = content_type
    names = sorted(headers)
    segments = [urllib.parse.quote(urllib.parse.unquote(part), safe=KEPT)
                for part in parts.path.split("/") if part]
    query = "&".join(sorted(parts.query.split("&"))) if parts.query else ""
    canonical = "\n".join([
        method, "/" + "/".join(segments), query,
        "".join("%s:%s\n" % (name, re.sub(r"\s+", " ", headers[name].strip())) for name in names),
        ";".join(names), hashlib.sha256(body).hexdigest()])
    date = time.strftime("%Y%m%d", time.gmtime(timestamp))
    text = "\n".join([ALGORITHM, str(timestamp), "%s/%s/aura_request" % (app_id, date),
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = hmac.new(b"AURA" + app_secret.encode(), date.encode(), hashlib.sha256).digest()
    key = hmac.new(key, b"aura_request", hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return "%s Credential=%s,SignedHeaders=%s,Signature=%s" % (
        ALGORITHM, app_id, ";".join(names), signature)


class Answer:
    """Status, headers (lower case) and body of one call."""

    def __init__(self, response, body):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = body

    def json(self):
        return json.loads(self.body)

    def text(self):
        """What an operator would be shown."""
        if "errors" in self.json():
            return " ".join(t for texts in self.json()["errors"].values() for t in texts)
        if "error" in self.json():
            return self.json()["error"]["message"]
        return self.json().get("message", "")


class Client:
    """Talks to one base URL such as http://127.0.0.1:8080/api."""

    def __init__(self, base_url, app_id, app_secret, service_api_key):
        self.base = urllib.parse.urlsplit(base_url)
        self.app_id, self.app_secret = app_id, app_secret
        self.service_api_key = service_api_key
        self.token = None
        self.lift = None

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.base.netloc, timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def exchange(self, body=None, timestamp=None, nonce=None, **changed):
        """`changed` replaces headers; None leaves one out."""
        path = self.base.path + "/auth/exchange"
        payload = json.dumps(body or {"ttl": 3600, "scopes": SCOPES}).encode()
        timestamp = int(time.time()) if timestamp is None else timestamp
        nonce = nonce or str(uuid.uuid4())
        headers = {
            "Accept": "application/json", "Content-Type": "application/json",
            "X-Api-Key": self.service_api_key,
            "X-Aura-Timestamp": str(timestamp), "X-Aura-Nonce": nonce,
            "Authorization": sign(self.app_id, self.app_secret, "POST",
                                  "http://%s%s" % (self.base.netloc, path), payload, timestamp,
                                  nonce)}
        for name, value in changed.items():
            headers[name.replace("_", "-")] = value
        answer = self.request("POST", path, payload,
                              {k: v for k, v in headers.items() if v is not None})
        if answer.status == 200 and answer.body.startswith(b"{"):
            self.token = answer.json()["token"]
        return answer

    def call(self, method, path, body=None, **changed):
        headers = {"Accept": "application/json", "X-Api-Key": self.service_api_key,
                   "Authorization": "Bearer %s" % self.token}
        payload = body
        if body is not None:
            headers["Content-Type"] = "application/json"
            if not isinstance(body, bytes):
                payload = json.dumps(body, ensure_ascii=False).encode()
        for name, value in changed.items():
            headers[name.replace("_", "-")] = value
        return self.request(method, self.base.path + path, payload,
                            {k: v for k, v in headers.items() if v is not None})

    def config(self):
        answer = self.call("GET", "/uploader/config")
        if answer.status == 200 and answer.body.startswith(b"{"):
            self.lift = answer.json().get("lift")
        return answer

    def upload(self, call, upload_id, **fields):
        body = {"upload_id": upload_id, "mode": "uploader"}
        body.update(fields)
        return self.call("POST", "/uploader/upload/" + call, body)

    def state(self):
        return self.request("GET", "/sandbox/state").json()

    # ---- Tus ----

    def tus(self, method, path, body=None, **changed):
        headers = {"Tus-Resumable": "1.0.0", "Authorization": "Bearer %s" % self.lift["token"]}
        for name, value in changed.items():
            headers[name.replace("_", "-")] = str(value) if value is not None else None
        return self.request(method, path, body, {k: v for k, v in headers.items() if v is not None})

    def endpoint_path(self):
        return urllib.parse.urlsplit(self.lift["endpoint"]).path

    def metadata(self, upload_id, **changed):
        name = upload_id + ".zip"
        values = {"upload_id": upload_id, "bucket": self.lift["bucket"], "mode": "bulk",
                  "name": name, "filename": name, "type": "application/zip",
                  "filetype": "application/zip"}
        values.update(changed)
        return ",".join("%s %s" % (key, base64.b64encode(value.encode()).decode())
                        for key, value in values.items() if value is not None)

    def create(self, upload_id, length, **changed):
        return self.tus("POST", self.endpoint_path(), b"", Upload_Length=length,
                        Upload_Metadata=self.metadata(upload_id, **changed))

    def patch(self, path, offset, body, **changed):
        return self.tus("PATCH", path, body, Upload_Offset=offset,
                        **{"Content_Type": "application/offset+octet-stream", **changed})

    def offset(self, path):
        return int(self.tus("HEAD", path).headers["upload-offset"])


def manifest(upload_id, study_uid="1.2.3", images=2):
    """A good init body."""
    series_uid = study_uid + ".1"
    return {
        "upload_id": upload_id, "mode": "bulk", "type": "uploader",
        "source": "standalone-uploader", "patient_id": None,
        "context": {"patient_id": "P1", "patient": {"given_names": "john", "sex": "m",
                                                    "date_of_birth": "1977-06-03"}},
        "studies": {study_uid: {
            "study_uid": study_uid, "study_description": "", "institution_name": "",
            "patient_id": "P1", "patient_name": "Yamada^Tarou=山田^太郎=やまだ^たろう",
            "study_date": "20260101", "study_time": "101010.5", "modalities": ["CT"],
            "images": images, "series_count": 1,
            "series": {series_uid: {
                "study_instance_uid": study_uid, "series_instance_uid": series_uid,
                "modality": "CT", "series_description": None, "series_number": "1"}}}}}


def archive(study_uid="1.2.3", images=2, size=1000, names=None, magic=b"DICM"):
    """A zip of little Part 10 look-alikes."""
    out = io.BytesIO()
    names = names or ["%s/%s.%d.dcm" % (study_uid, study_uid, i) for i in range(images)]
    with zipfile.ZipFile(out, "w") as zipped:
        for i, name in enumerate(names):
            zipped.writestr(name, b"\0" * 128 + magic + bytes([i % 251]) * size)
    return out.getvalue()
