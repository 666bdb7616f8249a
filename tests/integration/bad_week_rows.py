"""The table of the network's bad week: a row is a fault, and what must come of it.

Every row has a destination of its own, to which two studies go: the bad one, and one that nothing is
wrong with. `@bad` in a fault stands for the bad study, so that the fault is of this study alone:
then the other one must be in Aurabox while the fault lasts. A fault of the destination holds up
both, and no other destination.

reason: what `studies` says of the bad study while the fault lasts (None: it passes by itself)
told:   what the log says about it
end:    "completed", or what `studies` says of the study that failed for good
lift:   how the fault is taken away: "clear" (the sandbox's faults), "restart" (the sandbox, which then
        knows nothing of what was announced), "heal" (the way), "reload" (the bridge's configuration)
"""

from dataclasses import dataclass, field

import bad_way

BAD_REQUEST, LAST = (400, 422), ":*"
# Every class of status and each one that means something to one side or the other.
CLIENT_ERRORS = (400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 411, 412, 413, 414, 415, 418, 421,
                 422, 423, 424, 425, 426, 428, 431, 451, 499)
SERVER_ERRORS = (500, 501, 502, 503, 504, 505, 507, 508, 511, 599)
EXCHANGE, CONFIG = "POST /auth/exchange", "GET /uploader/config"
INIT, START, COMPLETE, ERROR = (f"POST /uploader/upload/{name}@bad"
                                for name in ("init", "start", "complete", "error"))
CREATE, HEAD, PATCH = "POST /files@bad", "HEAD@bad", "PATCH@bad"


@dataclass
class Row:
    name: str
    faults: tuple = ()
    reason: str = None
    told: str = None
    end: str = "completed"
    lift: str = "clear"
    way: object = None   # makes what stands in between: a function of the sandbox's port and the week
    url: str = "http://127.0.0.1:{port}/api"
    healed_url: str = None
    timeout: str = "10s"
    pixel_bytes: int = 2000
    own: bool = False    # the fault is the destination's: a sandbox of its own
    proxy: object = None  # what the proxy does with it
    most: int = 30       # requests a second while it lasts
    creates: int = None  # uploads that the Tus server may have been asked to make for it
    slow: bool = False   # only with --all
    extra: dict = field(default_factory=dict)


def each(call, statuses):
    return tuple(f"{call}:{status}" for status in statuses)


def without(statuses, *these):
    return [status for status in statuses if status not in these]


# ---- the way ----

def way(**arguments):
    return lambda target, week: bad_way.Way(target, certificates=week.certificates, **arguments)


def on_the_way(name, reason, url="http://127.0.0.1:{port}/api", **arguments):
    options = {key: arguments.pop(key) for key in ("timeout", "told", "slow", "pixel_bytes")
               if key in arguments}
    return Row(name, reason=reason, lift="heal", url=url, own=True, way=way(**arguments), **options)


TLS = "https://127.0.0.1:{port}/api"
PORTAL = r"with a web page instead of JSON: a captive portal or proxy stands between"

WAY = [
    on_the_way("connection refused",
               r"connecting to http://127.0.0.1:\d+ failed.*check the network, the firewall",
               refuse=True),
    Row("no such name", own=True, lift="reload", url=f"http://{'a' * 64}.invalid/api",
        healed_url="http://127.0.0.1:{port}/api",
        reason=r"the name in http://a+.invalid cannot be found.*this machine's DNS"),
    Row("blackhole: no SYN is answered", own=True, lift="heal", timeout="1s",
        way=lambda target, week: bad_way.SilentPort(target),
        reason=r"connecting to .* failed: no answer within 1000 ms.*check the network"),
    on_the_way("blackhole: connects, and is silent", timeout="1s", at=bad_way.silent,
               reason=r"took the call, but there was no answer within 1000 ms"),
    on_the_way("reset at once", r"(the connection to .* broke off|connecting to .* failed)",
               at=bad_way.reset_at_once),
    on_the_way("no HTTP server", r"is no HTTP server.*check the URL", at=bad_way.no_http),
    on_the_way("closed without an answer", r"the connection to .* broke off", http=bad_way.closed),
    on_the_way("header cut off", r"the answer of .* broke off in its header",
               http=bad_way.cut_header),
    on_the_way("header without end", r"longer than the \d+ bytes.*captive portal",
               http=bad_way.endless_header),
    on_the_way("complete's header cut off", None, told="complete at .* broke off in its header",
               http=bad_way.cut_header, where="/complete", times=1),
    on_the_way("creation's header cut off", None, told="POST: .*broke off in its header",
               http=bad_way.cut_header, where="POST /files", times=2),
    on_the_way("PATCH's header cut off", None, told="PATCH: .*broke off in its header",
               http=bad_way.cut_header, where="PATCH", times=2),
    on_the_way("PATCH's header without end", None, told="PATCH: .*longer than",
               http=bad_way.endless_header, where="PATCH", times=2),
    on_the_way("PATCH's header in drops", None, told="PATCH: .*no progress for 1000 ms",
               timeout="1s", http=bad_way.dripping_header, where="PATCH", times=1),
    on_the_way("TLS: unknown authority", r"TLS with .* failed: .*ca_file", url=TLS,
               certificate="untrusted"),
    on_the_way("TLS: expired", r"TLS with .* failed: .*check this machine's clock", url=TLS,
               certificate="expired"),
    on_the_way("TLS: for another name", r"TLS with .* failed: .*for another name", url=TLS,
               certificate="name"),
    on_the_way("TLS: the port speaks something else", r"TLS with .* failed: .*that the URL's port",
               url=TLS, at=bad_way.no_http, certificate="good"),
    on_the_way("TLS: reset in the handshake", r"https://127.0.0.1:\d+ (failed|broke off)", url=TLS,
               at=bad_way.reset_at_once, certificate="good"),
    on_the_way("TLS: silence in the handshake", r"no answer within 1000 ms.*check the network", url=TLS,
               timeout="1s", at=bad_way.silent, certificate="good"),
    on_the_way("Tus server: connection refused", r"paused: Tus server .*check the network",
               tus_host="127.0.0.1:9"),
    on_the_way("Tus server: no such name", r"paused: Tus server .*this machine's DNS",
               tus_host="a" * 64 + ".invalid"),
    on_the_way("Tus server: silent", r"POST: no answer in time: .*took the call", timeout="1s",
               http=bad_way.silent_http, where="/files"),
    Row("a proxy that gives up on large requests", own=True, pixel_bytes=700000, timeout="10s",
        way=way(most_body=300000), told=r"nothing of \d+ bytes arrived; trying \d+ at a time"),
    Row("proxy wants credentials", own=True, lift="heal", proxy=407, url="http://localhost:{port}/api",
        reason=r"407.*the proxy asks for credentials: check HTTPS_PROXY"),
    Row("proxy shows a page", own=True, lift="heal", proxy=bad_way.sign_in_page,
        url="http://localhost:{port}/api", reason=PORTAL),
    Row("proxy answers 502", own=True, lift="heal", proxy=502, url="http://localhost:{port}/api",
        reason=r"HTTP 502"),
    Row("proxy is silent", own=True, lift="heal", proxy=bad_way.silent_http, timeout="1s",
        url="http://localhost:{port}/api", reason=r"no answer within 1000 ms"),
    Row("proxy wants credentials for the tunnel", own=True, lift="heal", proxy=407,
        way=way(certificate="good"), url="https://localhost:{port}/api",
        reason=r"the proxy refuses the way to .* with 407: it wants credentials; check HTTPS_PROXY"),
    Row("proxy refuses the tunnel", own=True, lift="heal", proxy=403,
        way=way(certificate="good"), url="https://localhost:{port}/api",
        reason=r"the proxy refuses the way to .* with 403.*what the proxy lets through"),
]

# ---- exchange and config: of the whole destination ----


def destination(name, faults, reason, **arguments):
    faults = (faults,) if isinstance(faults, str) else faults
    return Row(name, faults=faults, reason=reason, own=True, **arguments)


ACCESS = [
    destination("captive portal", ":html" + LAST, PORTAL),
    destination("captive portal that redirects", ":302" + LAST, r"redirects.*captive portal"),
    destination("captive portal that says so", ":511" + LAST, r"511.*captive portal wants a login"),
    destination("blackhole: the API is silent", ":hang" + LAST,
                r"took the call, but there was no answer within 1000 ms", timeout="1s"),
    destination("exchange: every error", each(EXCHANGE, CLIENT_ERRORS + SERVER_ERRORS) +
                (EXCHANGE + ":401" + LAST,), r"HTTP 401.*check app_id, app_secret", slow=True),
    destination("exchange: 403", EXCHANGE + ":403" + LAST, r"HTTP 403.*belong together"),
    destination("exchange: 404", EXCHANGE + ":404" + LAST, r"HTTP 404.*check api_base_url"),
    destination("exchange: 500", EXCHANGE + ":500" + LAST, r"token exchange at .*HTTP 500"),
    destination("exchange: 429", EXCHANGE + ":429" + LAST, r"HTTP 429.*lower the destination's limits"),
    destination("exchange: 429 that does not say for how long", (EXCHANGE + ":429" + LAST,
                                                                 "retry-after:0"),
                r"HTTP 429.*lower the destination's limits", most=2),
    destination("exchange: no end", EXCHANGE + ":endless" + LAST, r"longer than the \d+ bytes"),
    destination("exchange: in drops", EXCHANGE + ":drip:50" + LAST, r"no answer within 1000 ms",
                timeout="1s"),
    destination("exchange: cut off", EXCHANGE + ":truncate:10" + LAST, r"broke off"),
    destination("exchange: a token of another kind", "token-prefix:xyz_", r"begin with aubt_",
                lift="restart"),
    destination("clock skew", "skew:+600", r"the clocks differ, here it is .*set this machine's clock",
                lift="restart"),
    destination("config: every error", each(CONFIG, CLIENT_ERRORS + SERVER_ERRORS) +
                (CONFIG + ":403" + LAST,), r"HTTP 403", slow=True),
    destination("config: 404", CONFIG + ":404" + LAST, r"HTTP 404.*check api_base_url"),
    destination("config: 503", CONFIG + ":503" + LAST, r"uploader config at .*HTTP 503"),
    destination("config: no end", CONFIG + ":endless" + LAST, r"longer than the \d+ bytes"),
    destination("config: cut off", CONFIG + ":truncate:30" + LAST, r"broke off"),
    destination("config: without an endpoint", "config-without:endpoint" + LAST,
                r"lift.endpoint in the answer is missing.*ask Aurabox"),
    destination("config: without a mode", "config-without:mode" + LAST, r"mode in the answer is missing"),
    destination("upload token revoked each time", "GET /uploader/config:revoke" + LAST,
                r"HTTP 401.*check app_id"),
    destination("Tus: 429, wait 5 s", ("POST /files:429:2", "retry-after:5"), None,
                told="destination .* is paused.*429"),
    destination("init: 429, wait 3 s", (INIT + ":429", "retry-after:3"), None, told="HTTP 429"),
    destination("init: 429 that does not say for how long", (INIT + ":429:2", "retry-after:0"), None,
                told="HTTP 429"),
    Row("lift tokens live for a second", own=True, faults=("lift-ttl:1", PATCH + ":slow:1300:2"),
        pixel_bytes=700000, told="created at"),
    Row("Aurabox restarts while it is uploaded", own=True, faults=(PATCH + ":500" + LAST,),
        lift="restart", reason="answered PATCH with 500", told="announcing it again"),
    Row("Aurabox restarts while it is confirmed", own=True, faults=(COMPLETE + ":500" + LAST,),
        lift="restart", reason="complete at .*HTTP 500", told="it is sent again"),
    Row("Aurabox restarts after init", own=True, faults=(START + ":500" + LAST,), lift="restart",
        reason="start at .*HTTP 500", told="announcing it again"),
]

# ---- init and start: of one study ----


def of_study(name, faults, reason=None, told=None, **arguments):
    faults = (faults,) if isinstance(faults, str) else faults
    return Row(name, faults=faults, reason=reason, told=told, **arguments)


ANNOUNCE = [
    of_study("init: every passing error", each(INIT, without(CLIENT_ERRORS + SERVER_ERRORS,
                                                             *BAD_REQUEST)),
             told="init at .*HTTP 599", slow=True),
    of_study("init: 400", INIT + ":400", end=r"init at .*HTTP 400: A fault was asked for"),
    of_study("init: 422", INIT + ":422", end=r"init at .*HTTP 422: A fault was asked for"),
    of_study("init: 422, and the report is refused for a while",
             (INIT + ":422", ERROR + ":500", ERROR + ":403", ERROR + ":408"), end=r"HTTP 422"),
    of_study("init: 422, and the report is unknown", (INIT + ":422", ERROR + ":404"), end=r"HTTP 422"),
    of_study("init: 403", INIT + ":403" + LAST, r"init at .*HTTP 403.*may upload"),
    of_study("init: 404", INIT + ":404" + LAST, r"init at .*HTTP 404.*check api_base_url"),
    of_study("init: 409", INIT + ":409" + LAST, r"init at .*HTTP 409"),
    of_study("init: 413", INIT + ":413" + LAST, r"init at .*HTTP 413.*raise the request size limit"),
    of_study("init: 500", INIT + ":500" + LAST, r"init at .*HTTP 500"),
    of_study("init: a page", INIT + ":html" + LAST, PORTAL),
    of_study("init: no end", INIT + ":endless" + LAST, r"init at .*longer than"),
    of_study("init: silent", INIT + ":hang" + LAST, r"init at .*no answer within 1000 ms",
             timeout="1s"),
    of_study("init: answer lost", INIT + ":drop:2", told=r"init at .*broke off"),
    of_study("init: answer cut off", INIT + ":truncate:5", told=r"init at .*broke off"),
    of_study("init: answer lost, then 422 about the upload_id", (INIT + ":drop", INIT + ":422"),
             told="init at .*broke off"),
    of_study("init: answer lost, then 409", (INIT + ":drop", INIT + ":409"),
             told="init at .*broke off"),
    of_study("init: not heard, then 422 about the upload_id", (INIT + ":504", INIT + ":422"),
             told="start at .*announcing it again"),
    of_study("start: every error", each(START, CLIENT_ERRORS + SERVER_ERRORS),
             told="start at .*HTTP 599", slow=True),
    of_study("start: 403", START + ":403" + LAST, r"start at .*HTTP 403"),
    of_study("start: 404", START + ":404" + LAST, r"start at .*HTTP 404.*does not know the upload"),
    of_study("start: 404 once", START + ":404", told="announcing it again"),
    of_study("start: 409", START + ":409" + LAST, r"start at .*HTTP 409"),
    of_study("start: 422", START + ":422" + LAST, r"start at .*HTTP 422"),
    of_study("start: 500", START + ":500" + LAST, r"start at .*HTTP 500"),
    of_study("start: a page", START + ":html" + LAST, PORTAL),
    of_study("start: silent once", START + ":hang", told=r"start at .*no answer within 1000 ms",
             timeout="1s"),
    of_study("start: answer lost", START + ":drop:2", told=r"start at .*broke off"),
    of_study("start: answer lost, then 409", (START + ":drop", START + ":409"),
             told="start at .*broke off"),
    of_study("start: forgotten", START + ":forget", told="announcing it again"),
    of_study("start: token revoked", START + ":revoke"),
    of_study("start: token revoked each time", START + ":revoke" + LAST, r"start at .*HTTP 401"),
]

# ---- Tus ----

TUS = [
    of_study("creation: every error", each(CREATE, without(CLIENT_ERRORS + SERVER_ERRORS, 413)),
             told="answered POST with 599", slow=True),
    of_study("creation: 400", CREATE + ":400" + LAST, r"answered POST with 400"),
    of_study("creation: 401", CREATE + ":401" + LAST, r"a fresh lift token is not accepted.*check"),
    of_study("creation: 403", CREATE + ":403" + LAST, r"a fresh lift token is not accepted.*check"),
    of_study("creation: 404", CREATE + ":404" + LAST, r"no Tus creation here; check the lift endpoint"),
    of_study("creation: 409", CREATE + ":409" + LAST, r"ask Aurabox whether it was ended there"),
    of_study("creation: 413", CREATE + ":413", end=r"longer than the server takes"),
    of_study("creation: 429", CREATE + ":429" + LAST, r"answered POST with 429: too many requests"),
    of_study("creation: 500", CREATE + ":500" + LAST, r"answered POST with 500"),
    of_study("creation: a page", CREATE + ":html" + LAST, r"no Tus server's answer; a proxy or captive"),
    of_study("creation: silent", CREATE + ":hang" + LAST, r"POST: no answer in time", timeout="1s"),
    of_study("creation: answer lost", CREATE + ":drop:3", told="POST: the connection failed"),
    of_study("creation: the announcement is forgotten", CREATE + ":forget", told="announcing it again"),
    of_study("PATCH: every error", each(PATCH, without(CLIENT_ERRORS + SERVER_ERRORS, 413)),
             told="answered PATCH with 599", slow=True),
    of_study("PATCH: 403", PATCH + ":403" + LAST, r"refused to a fresh lift token"),
    of_study("PATCH: 404", PATCH + ":404" + LAST, r"the upload is not there any more"),
    of_study("PATCH: 409", PATCH + ":409" + LAST, r"it stands at another offset"),
    of_study("PATCH: 410", PATCH + ":410", told="not there any more", creates=2),
    of_study("PATCH: 413", PATCH + ":413", end=r"raise the request size limit of the server or the"),
    of_study("PATCH: 423", PATCH + ":423" + LAST, r"locked by another request"),
    of_study("PATCH: 460", PATCH + ":460" + LAST, r"the chunk arrived damaged"),
    of_study("PATCH: 500", PATCH + ":500" + LAST, r"answered PATCH with 500"),
    of_study("PATCH: a page", PATCH + ":html" + LAST, r"no Tus server's answer"),
    of_study("PATCH: silent", PATCH + ":hang" + LAST, r"PATCH: no answer in time: .*no progress",
             timeout="1s"),
    of_study("PATCH: no end", PATCH + ":endless" + LAST, r"longer than a Tus server's; look for a proxy"),
    of_study("PATCH: in drops", PATCH + ":drip:50" + LAST, r"PATCH: no answer in time", timeout="1s"),
    of_study("PATCH: answer lost", PATCH + ":drop:2", told="PATCH: the connection failed", creates=1),
    of_study("PATCH: cut off at each chunk", PATCH + ":cut:100000:5", pixel_bytes=700000,
             told=r"going on at [1-9]", creates=1),
    of_study("PATCH: token revoked between two", (PATCH + ":slow:1", PATCH + ":revoke"),
             pixel_bytes=700000, creates=1),
    of_study("PATCH: token revoked each time", PATCH + ":revoke" + LAST, r"lift token"),
    of_study("HEAD: 404", (PATCH + ":500", HEAD + ":404"), told="not there any more", creates=2),
    of_study("HEAD: 410", (PATCH + ":500", HEAD + ":410"), told="not there any more", creates=2),
    of_study("HEAD: 403 twice", (PATCH + ":500", HEAD + ":403:2"), told="fresh lift token"),
    of_study("HEAD: 423 twice", (PATCH + ":500", HEAD + ":423:2"), told="locked", creates=1),
    of_study("HEAD: a page", (PATCH + ":500" + LAST, HEAD + ":html" + LAST), "no Tus server's answer"),
    of_study("HEAD: silent", (PATCH + ":500" + LAST, HEAD + ":hang" + LAST), "HEAD: no answer in time",
             timeout="1s"),
    # Between two chunks, or, once they have grown, when all of it was sent.
    Row("the server loses the upload each time", own=True, faults=("tus-lose:300000" + LAST,),
        pixel_bytes=700000, reason=r"the upload is not there any more|not all of it is there"),
    Row("the server loses the upload once", own=True, faults=("tus-lose:300000",), pixel_bytes=700000,
        told=r"the upload is not there any more", creates=2),
    Row("the server forgets the offset each time", own=True, faults=("tus-rewind:300000" + LAST,),
        pixel_bytes=700000, reason=r"it stands at another offset|not all of it is there"),
    Row("the server forgets the offset once", own=True, faults=("tus-rewind:300000",),
        pixel_bytes=700000, told=r"fewer than the \d+ it had acknowledged", creates=1),
]

# ---- complete ----

CONFIRM = [
    # First the certain ones: after a 408 or a 5xx, a 409 would say that it was taken.
    of_study("complete: every error", each(COMPLETE, without(CLIENT_ERRORS, 408)) +
             each(COMPLETE, (408,) + SERVER_ERRORS), told="complete at .*HTTP ", slow=True),
    of_study("complete: 400", COMPLETE + ":400" + LAST, r"complete at .*HTTP 400.*ask Aurabox why"),
    of_study("complete: 403", COMPLETE + ":403" + LAST, r"complete at .*HTTP 403"),
    of_study("complete: 404", COMPLETE + ":404" + LAST, r"complete at .*HTTP 404.*does not know"),
    of_study("complete: 404 once", COMPLETE + ":404", told="announcing it again", creates=1),
    of_study("complete: 409", COMPLETE + ":409" + LAST, r"HTTP 409.*ask Aurabox why, or cancel"),
    of_study("complete: 409, the bytes are not there", (COMPLETE + ":409", HEAD + ":404:2"),
             told="not all of it is there, so it is sent again", creates=2),
    of_study("complete: 410 once", COMPLETE + ":410", told="announcing it again"),
    of_study("complete: 422", COMPLETE + ":422" + LAST, r"complete at .*HTTP 422"),
    of_study("complete: 500", COMPLETE + ":500" + LAST, r"complete at .*HTTP 500"),
    of_study("complete: a page", COMPLETE + ":html" + LAST, PORTAL),
    of_study("complete: no end", COMPLETE + ":endless" + LAST, r"complete at .*longer than"),
    of_study("complete: silent", COMPLETE + ":hang" + LAST, r"complete at .*no answer within 1000 ms",
             timeout="1s"),
    of_study("complete: answer lost", COMPLETE + ":drop", told="complete at .*broke off", creates=1),
    of_study("complete: answer cut off", COMPLETE + ":truncate:3", told="complete at .*broke off",
             creates=1),
    of_study("complete: not heard, then 404", (COMPLETE + ":504", COMPLETE + ":404"),
             told="complete at .*HTTP 504", extra={"completes": 0}),
    of_study("complete: forgotten", COMPLETE + ":forget", told="is sent again", creates=2),
    of_study("complete: token revoked", COMPLETE + ":revoke", creates=1),
]

ROWS = WAY + ACCESS + ANNOUNCE + TUS + CONFIRM

# These differ from one that stays by the status or by the call alone.
ONLY_WITH_ALL = """
reset at once | no HTTP server | closed without an answer | header without end
PATCH's header without end | TLS: for another name | TLS: reset in the handshake
TLS: silence in the handshake | proxy shows a page | proxy answers 502 | proxy is silent
proxy refuses the tunnel | Tus server: no such name
captive portal that redirects | captive portal that says so | blackhole: the API is silent
exchange: 403 | exchange: 404 | exchange: 500 | exchange: 429 | exchange: no end | exchange: cut off
exchange: a token of another kind | config: 404 | config: no end | config: without a mode
init: 404 | init: 409 | init: 413 | init: 422, and the report is unknown | init: a page | init: no end
init: answer cut off | start: 403 | start: 422 | start: 500 | start: a page | start: token revoked
creation: 401 | creation: 404 | creation: 500 | creation: a page | PATCH: 403 | PATCH: 500
PATCH: no end | HEAD: 410 | HEAD: 423 twice | HEAD: silent
complete: 400 | complete: 410 once | complete: 500 | complete: no end | complete: answer cut off
"""
for name in ONLY_WITH_ALL.replace("\n", "|").split("|"):
    if name.strip():
        next(row for row in ROWS if row.name == name.strip()).slow = True
