"""As much of a W&B server as the real client asks for, on this machine: runs, history, files, views; and its troubles.

What a hosted server does beyond that (rate limits of its own, what its pages draw) is not here. Operations are those
that wandb 0.31 sends; one that is not known fails the test that made it (`Endpoint.unknown`).
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY = "team"
KEY = "a" * 40
STAMP = "2026-01-01T00:00:00"
Values = dict[str, Any]


@dataclass
class Run:
    """What the server knows of one run."""

    entity: str
    project: str
    name: str
    title: str = ""
    config: str = "{}"
    summary: str = "{}"
    state: str = "running"
    group: str | None = None
    job_type: str | None = None
    tags: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    preempting: bool = False
    exit_code: int | None = None

    @property
    def rows(self) -> list[Values]:
        return [json.loads(line) for line in self.history]

    @property
    def values(self) -> Values:
        """Its configuration, without W&B's own."""
        return {k: v["value"] for k, v in json.loads(self.config).items() if k != "_wandb"}

    def node(self) -> Values:
        """What a query sees of it."""
        keys: dict[str, Values] = {}
        for row in self.rows:
            for key in row:
                keys.setdefault(key, {"typeCounts": [{"type": "number", "count": 0}], "monotonic": False})
                keys[key]["typeCounts"][0]["count"] += 1
        return {
            "__typename": "Run",
            "id": _id("Run", self.project, self.name),
            "name": self.name,
            "displayName": self.title or self.name,
            "description": "",
            "config": self.config,
            "sweepName": None,
            "sweep": None,
            "project": {"id": _id("Project", self.project), "name": self.project, "entity": _entity(self.entity)},
            "projectId": 1,
            "historyLineCount": len(self.history),
            "logLineCount": 0,
            "eventsLineCount": len(self.events),
            "historyTail": json.dumps(self.history[-1:]),
            "eventsTail": json.dumps(self.events[-1:]),
            "summaryMetrics": self.summary,
            "systemMetrics": json.dumps(json.loads(self.events[-1]) if self.events else {}),
            "tags": self.tags,
            "notes": None,
            "wandbConfig": json.dumps({"t": 1}),
            "state": self.state,
            "group": self.group,
            "jobType": self.job_type,
            "commit": None,
            "readOnly": False,
            "createdAt": STAMP,
            "heartbeatAt": STAMP,
            "user": {"name": "someone", "username": "someone"},
            "historyKeys": {
                "sets": [],
                "keys": keys,
                "lastStep": max((row.get("_step", -1) for row in self.rows), default=-1),
            },
            "stopped": False,
            "fileCount": len(self.files),
        }


@dataclass
class Fault:
    """The next `times` requests whose name matches get this status."""

    match: str
    status: int
    times: int
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """What a query gets an error for, rather than data."""


class Endpoint:
    """A server on a port of its own, from `up` to `down`, which keeps what it knows in between."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.artifacts: dict[str, dict[str, bytes]] = {}
        self.views: list[Values] = []
        self.charts: dict[str, Values] = {}
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.faults: list[Fault] = []
        self.lock = threading.RLock()
        self.port = 0
        self.server: ThreadingHTTPServer | None = None
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """What makes the client come here, and nowhere else."""
        return {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": KEY,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def up(self) -> None:
        self.server = _Server(("127.0.0.1", self.port), _handler(self))
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def down(self) -> None:
        """Refuse connections, and cut those there are."""
        if self.server is not None:
            server, self.server = self.server, None
            server.shutdown()
            server.server_close()
            server.cut()

    def fault(self, match: str, status: int, times: int = 10**9, **headers: str) -> None:
        self.faults.append(Fault(match, status, times, headers))

    def failing(self, name: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and re.fullmatch(fault.match, name):
                fault.times -= 1
                return fault
        return None

    # what is asked -------------------------------------------------------------------------------------------------

    def graphql(self, operation: str, given: Values) -> Values | None:
        """The `data` of an answer; None for an operation that is not known."""
        known: dict[str, Callable[[Values], Values]] = {
            "UpsertBucket": self._upsert,
            "RunResumeStatus": lambda v: {"model": self._project(v, bucket=self._node(v))},
            "CreateRunFiles": self._create_files,
            "Runs": self._runs,
            "RunParquetHistory": lambda v: {"project": {"run": {"parquetHistory": {"parquetUrls": []}}}},
            "RunFiles": self._files,
            "RunFile": self._files,
            "ProjectInternalId": lambda v: {"project": self._project(v, internalId=_id("ProjectInternalId", "1"))},
            "GetProjects": self._projects,
            "CreateCustomChart": self._chart,
            "upsertView": self._view,
            "UpsertView2": self._view,
            "ServerFeaturesQuery": lambda v: {"serverInfo": {"features": []}},
            "OrganizationCoreWeaveOrganizationID": lambda v: {"entity": None},
        }
        known |= {
            "ArtifactType": lambda v: {"project": {"artifact": None}},
            "CreateArtifact": self._artifact,
            "CreateArtifactManifest": lambda v: {"createArtifactManifest": {"artifactManifest": self._manifest(v)}},
            "UpdateArtifactManifest": lambda v: {"updateArtifactManifest": {"artifactManifest": self._manifest(v)}},
            "CreateArtifactFiles": self._artifact_files,
            "CommitArtifact": lambda v: {"commitArtifact": {"artifact": {"id": v["artifactID"], "digest": "d"}}},
        }
        for name in ("Viewer", "GetViewer", "GetDefaultEntity"):
            known[name] = lambda v: {"viewer": _viewer()}
        for name in ("Run", "GetRun", "RunHistoryKeys", "RunState", "LightRun", "GetLightRun"):
            known[name] = lambda v: {"project": self._project(v, run=self._node(v))}
        for name in ("HistoryPage", "RunFullHistory"):
            known[name] = lambda v: {"project": {"run": {"history": self._history(v)}}}
        for name in ("GetRuns", "LightRuns", "GetLightRuns"):
            known[name] = self._runs
        if operation not in known:
            return None
        return known[operation](given)

    def _project(self, given: Values, **more: Any) -> Values:
        name = given.get("project") or given.get("projectName") or given.get("name") or "uncategorized"
        entity = given.get("entity") or given.get("entityName") or ENTITY
        return {
            "__typename": "Project",
            "id": _id("Project", name),
            "internalId": _id("ProjectInternalId", "1"),
            "name": name,
            "entityName": entity,
            "entity": _entity(entity),
            "createdAt": STAMP,
            "isBenchmark": False,
            "readOnly": False,
            "user": None,
            **more,
        }

    def _run(self, given: Values) -> Run | None:
        name = given.get("name") or given.get("run") or given.get("runName")
        return self.runs.get(name) if name else None

    def _node(self, given: Values) -> Values | None:
        run = self._run(given)
        return run.node() if run else None

    def _upsert(self, given: Values) -> Values:
        name = given.get("name") or next(r.name for r in self.runs.values() if r.node()["id"] == given["id"])
        entity, project = given.get("entity") or ENTITY, given.get("project") or "uncategorized"
        inserted = name not in self.runs
        run = self.runs.setdefault(name, Run(entity, project, name))
        for key, attribute in {
            "displayName": "title", "config": "config", "groupName": "group", "jobType": "job_type", "tags": "tags",
            "summaryMetrics": "summary", "state": "state",
        }.items():  # fmt: skip
            if given.get(key) is not None:
                setattr(run, attribute, given[key])
        run.state = "running"
        return {"upsertBucket": {"bucket": run.node(), "inserted": inserted}}

    def _create_files(self, given: Values) -> Values:
        run = self.runs[given["run"]]
        files = [{"name": name, "uploadUrl": f"{self.url}/storage/{run.name}/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": run.node()["id"], "uploadHeaders": [], "files": files}}

    def _files(self, given: Values) -> Values:
        run = self._run(given)
        assert run is not None
        names = given.get("fileNames") or given.get("files") or list(run.files)
        nodes = [
            {
                "id": _id("File", run.name, name),
                "name": name,
                "url": f"{self.url}/storage/{run.name}/{name}",
                "directUrl": f"{self.url}/storage/{run.name}/{name}",
                "sizeBytes": len(run.files[name]),
                "mimetype": "application/octet-stream",
                "updatedAt": STAMP,
                "md5": "",
            }
            for name in names
            if name in run.files
        ]
        edges = [{"node": node, "cursor": node["name"]} for node in nodes]
        page = {"endCursor": None, "hasNextPage": False}
        return {"project": self._project(given, run={**run.node(), "files": {"edges": edges, "pageInfo": page}})}

    def _runs(self, given: Values) -> Values:
        wanted = json.loads(given.get("filters") or "{}")
        found = [r for r in self.runs.values() if r.project == given["project"] and _matches(r, wanted)]
        start, size = int(given.get("cursor") or 0), int(given.get("perPage") or 50)
        page = found[start : start + size]
        more = start + size < len(found)
        edges = [{"node": run.node(), "cursor": str(start + i + 1)} for i, run in enumerate(page)]
        info = {"endCursor": str(start + len(page)), "hasNextPage": more}
        runs = {"totalCount": len(found), "edges": edges, "pageInfo": info}
        return {"project": self._project(given, runCount=len(found), runs=runs)}

    def _history(self, given: Values) -> list[str]:
        run = self._run(given)
        low, high = int(given.get("minStep") or 0), int(given.get("maxStep") or 1 << 60)
        assert run is not None
        return [line for line in run.history if low <= json.loads(line).get("_step", 0) < high]

    def _projects(self, given: Values) -> Values:
        names = sorted({run.project for run in self.runs.values()})
        edges = [{"node": self._project({"name": name}), "cursor": name} for name in names]
        return {"models": {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}}

    def _artifact(self, given: Values) -> Values:
        """Tables of a run are artifacts too; what is uploaded of them is kept with the artifact's name for a run."""
        name = given["input"]["artifactCollectionName" if "artifactCollectionName" in given["input"] else "name"]
        self.artifacts[name] = {}
        artifact = {"id": name, "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
        return {"createArtifact": {"artifact": artifact}}

    def _manifest(self, given: Values) -> Values:
        name = given.get("artifactID") or given.get("artifactManifestID")
        file = {"id": "file", "uploadUrl": f"{self.url}/storage/{name}/manifest.json", "uploadHeaders": []}
        return {"id": name, "file": file}

    def _artifact_files(self, given: Values) -> Values:
        nodes = [
            {
                "storagePath": file["name"],
                "uploadUrl": f"{self.url}/storage/{file['artifactID']}/{file['name']}",
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "artifact": {"id": file["artifactID"]},
            }
            for file in given["input"]["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def _view(self, given: Values) -> Values:
        self.views.append(given)
        project = {"id": _id("Project", given["projectName"]), "name": given["projectName"], "entityName": ENTITY}
        kept = {key: given.get(key) for key in ("type", "name", "displayName", "description", "spec")}
        view = {"id": _id("View", str(len(self.views))), "project": project, "updatedAt": STAMP, **kept}
        return {"upsertView": {"view": view, "inserted": True}}

    def _chart(self, given: Values) -> Values:
        if given["chartName"] in self.charts:
            raise Refused(f"a chart {given['chartName']} already exists")
        self.charts[given["chartName"]] = given
        return {"createCustomChart": {"chart": {"id": f"{given['entity']}/{given['chartName']}"}}}

    def stream(self, name: str, body: Values) -> bool:
        """What a run sends while it goes on; False when there is no such run."""
        run = self.runs.get(name)
        if run is None:
            return False
        for file, part in body.get("files", {}).items():
            content, offset = part["content"], part["offset"]
            if file == "wandb-history.jsonl":
                run.history[offset : offset + len(content)] = content
            elif file == "wandb-events.jsonl":
                run.events[offset : offset + len(content)] = content
            elif file == "wandb-summary.json":
                run.summary = content[-1]
        run.preempting |= bool(body.get("preempting"))
        if body.get("complete"):
            run.exit_code = body.get("exitcode")
            run.state = "finished" if run.exit_code == 0 else "preempted" if run.preempting else "failed"
        return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *arguments: Any) -> None:
        self.open: set[socket.socket] = set()
        super().__init__(*arguments)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.open.add(connection)
        return connection, address

    def cut(self) -> None:
        for connection in self.open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that was killed in the middle


def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                data = b""
                while size := int(self.rfile.readline(), 16):
                    data += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

        def _answer(self, status: int, value: Any = None, headers: dict[str, str] | None = None) -> None:
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for key, text in {"Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(key, text)
            self.end_headers()
            self.wfile.write(data)

        def _faulty(self, name: str) -> bool:
            endpoint.requests.append(name)
            fault = endpoint.failing(name)
            if fault is not None:
                error = {"errors": [{"message": f"fault {fault.status}"}], "error": f"fault {fault.status}"}
                self._answer(fault.status, error, fault.headers)
            return fault is not None

        def do_POST(self) -> None:
            body = json.loads(self._body())
            if stream := re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path):
                with endpoint.lock:
                    if not self._faulty("file_stream"):
                        there = endpoint.stream(stream[1], body)
                        self._answer(200 if there else 404, {"limits": {}} if there else {"error": "no such run"})
                return
            query = body["query"]
            named = re.search(r"\b(?:query|mutation)\s+(\w+)", query)
            operation = named[1] if named else "Viewer"  # the one that is sent without a name
            with endpoint.lock:
                if self._faulty(operation):
                    return
                try:
                    data = endpoint.graphql(operation, body.get("variables") or {})
                except Refused as error:
                    return self._answer(200, {"errors": [{"message": str(error)}], "data": None})
                if data is None:
                    endpoint.unknown.append(f"{operation}: {query} {body.get('variables')}")
                    return self._answer(400, {"errors": [{"message": f"unknown operation {operation}"}]})
            self._answer(200, {"data": data})

        def do_PUT(self) -> None:
            data = self._body()
            _, _, run, name = self.path.split("/", 3)
            with endpoint.lock:
                if not self._faulty("upload"):
                    files = endpoint.artifacts[run] if run in endpoint.artifacts else endpoint.runs[run].files
                    files[name] = data
                    self._answer(200, b"")

        def do_GET(self) -> None:
            _, _, run, name = self.path.split("/", 3)
            with endpoint.lock:
                if not self._faulty("download"):
                    self._answer(200, endpoint.runs[run].files[name])

    return Handler


def _id(*parts: str) -> str:
    return base64.b64encode(":".join(parts).encode()).decode()


def _entity(name: str) -> Values:
    return {"id": _id("Entity", name), "name": name}


def _viewer() -> Values:
    return {
        "__typename": "User",
        "id": _id("User", "1"),
        "entity": ENTITY,
        "username": "someone",
        "name": "someone",
        "email": "someone@localhost",
        "admin": False,
        "flags": "{}",
        "deletedAt": None,
        "apiKeys": {"edges": []},
        "defaultEntity": {"name": ENTITY},
        "teams": {"edges": [{"node": {"name": ENTITY}}]},
    }


def _matches(run: Run, wanted: Values) -> bool:
    """The few of W&B's filters that are used: equality of a field, `$in`, and `$and` of these."""
    for key, value in wanted.items():
        if key == "$and":
            if not all(_matches(run, part) for part in value):
                return False
            continue
        attribute = {"jobType": "job_type", "displayName": "title"}.get(key, key)
        have = run.values.get(key[7:].removesuffix(".value")) if key.startswith("config.") else getattr(run, attribute)
        allowed = value["$in"] if isinstance(value, dict) else [value]
        if not (set(have) & set(allowed) if isinstance(have, list) else have in allowed):
            return False
    return True


def wait(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for: {what}"
        time.sleep(0.02)
    return found
