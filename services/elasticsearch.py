"""How is Elasticsearch had and asked? Its core distribution from Maven Central, one node, without security."""

from __future__ import annotations

import http.client
import json
import signal
import zipfile
from pathlib import Path

from services import folders
from services.engine import Place
from services.packages import from_maven, java_home

_VERSION = "8.19.21"
_ARTIFACT = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{_VERSION}:zip"
_ANSWER_S = 5.0
_CONFIGURATION = """\
cluster.name: haat-services
node.name: one
discovery.type: single-node
network.host: 127.0.0.1
http.port: {port}
transport.port: {inner}
path.data: {data}/index
path.logs: {data}/logs
xpack.security.enabled: false
xpack.ml.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
action.auto_create_index: false
"""


class Elasticsearch:
    """Elasticsearch 8.19: this distribution has neither scripts, nor ingest, nor `GET /`."""

    setting = "elasticsearch_url"
    first_port = 9250
    patience_s = 180
    ending = signal.SIGTERM

    def install(self, programs: Path) -> None:
        """107 MB, unpacked."""
        java_home()
        if (programs / f"elasticsearch-{_VERSION}" / "bin" / "elasticsearch").exists():
            return
        goal = ["dependency:copy", f"-Dartifact={_ARTIFACT}", f"-DoutputDirectory={programs}", "-Dtransitive=false"]
        from_maven(goal, f"Elasticsearch {_VERSION} from Maven Central", cwd=programs)
        packed = programs / f"elasticsearch-{_VERSION}.zip"
        with zipfile.ZipFile(packed) as archive:
            for entry in archive.infolist():
                written = Path(archive.extract(entry, programs / "unpacking"))
                # A zip keeps the rights of files, which zipfile does not give them.
                if mode := entry.external_attr >> 16 & 0o777:
                    written.chmod(mode)
        (programs / "unpacking" / f"elasticsearch-{_VERSION}").rename(programs / f"elasticsearch-{_VERSION}")
        (programs / "unpacking").rmdir()
        packed.unlink()

    def prepare(self, place: Place) -> None:
        """A configuration folder of its own, since it writes into it; the programs stay as they came."""
        configuration = place.data / "config"
        (configuration / "jvm.options.d").mkdir(parents=True, exist_ok=True)
        for name in ("jvm.options", "log4j2.properties"):
            source = place.programs / f"elasticsearch-{_VERSION}" / "config" / name
            (configuration / name).write_bytes(source.read_bytes())
        (configuration / "jvm.options.d" / "heap.options").write_text("-Xms1g\n-Xmx1g\n", encoding="utf-8")
        (configuration / "elasticsearch.yml").write_text(
            _CONFIGURATION.format(port=place.port, inner=place.inner_port, data=place.data), encoding="utf-8"
        )
        folders.give_to(place.data, place.account)

    def command(self, place: Place) -> tuple[list[str], dict[str, str]]:
        """The launcher, whose child is the server; it hands SIGTERM on and ends after it."""
        (place.data / "temporary").mkdir(exist_ok=True)
        folders.give_to(place.data / "temporary", place.account)
        more = {
            "ES_JAVA_HOME": str(java_home()),
            "ES_PATH_CONF": str(place.data / "config"),
            "ES_TMPDIR": str(place.data / "temporary"),
            "HOME": str(place.data),
        }
        return [str(place.programs / f"elasticsearch-{_VERSION}" / "bin" / "elasticsearch")], more

    def version(self, place: Place) -> str:
        """The health of the cluster, and from the node its version."""
        health = _get(place.port, "/_cluster/health?timeout=1s")
        if health.get("timed_out") is not False or health.get("status") == "red":
            raise ValueError(f"its health is {health.get('status')}")
        nodes = _get(place.port, "/_nodes/_local/version?filter_path=nodes.*.version").get("nodes")
        if not isinstance(nodes, dict) or not nodes:
            raise ValueError("it names no node")
        return str(next(iter(nodes.values()))["version"])

    def finish(self, place: Place) -> None:
        """Nothing is left to do."""

    def address(self, port: int) -> str:
        """A URL."""
        return f"http://127.0.0.1:{port}"


def _get(port: int, path: str) -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
    try:
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read())
    except http.client.HTTPException as error:
        raise ValueError(f"it answers, and not as HTTP ({type(error).__name__})") from None
    finally:
        connection.close()
    if not isinstance(answer, dict) or "error" in answer:
        raise ValueError("it answers with an error")
    return answer
