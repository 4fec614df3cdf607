"""How is Elasticsearch? Reachable, which version, its health, and whether haat's index templates are there."""

from __future__ import annotations

from elastic_transport import TlsError
from elasticsearch import ApiError, AuthenticationException, AuthorizationException, TransportError

from backends.elasticsearch_client import ElasticsearchAccess, open_client
from backends.probing import ANSWER_S, Finding

_VERSION = "8"


def probe(urls: str, prefix: str, access: ElasticsearchAccess | None = None) -> list[Finding]:
    """Look at the cluster behind the URLs. `GET /` is not asked: some distributions do not have it."""
    client = open_client(urls, access, request_s=ANSWER_S)
    try:
        health = client.cluster.health(timeout="1s")
        nodes = client.nodes.info(node_id="_local", filter_path="nodes.*.version")
        templates = client.options(ignore_status=404).indices.get_index_template(name=f"{prefix}-*")
    except (ApiError, TransportError, ValueError) as error:
        says = f"does not answer ({type(error).__name__}: {error.message if isinstance(error, ApiError) else error})"
        return [Finding("Elasticsearch", "missing", says[:300], _remedy(error))]
    finally:
        client.close()
    versions = sorted({str(node["version"]) for node in nodes.get("nodes", {}).values()})
    state = str(health["status"])
    says = f"version {', '.join(versions)}, {health['number_of_nodes']} nodes, {state}"
    found = [Finding("Elasticsearch", "ok", says)]
    if any(version.split(".")[0] != _VERSION for version in versions):
        remedy = f"use Elasticsearch {_VERSION}: other servers refuse this client"
        found.append(Finding("Elasticsearch", "missing", f"version {', '.join(versions)}", remedy))
    if state == "red":
        remedy = "see its log: a part of an index has no copy that can be read"
        found.append(Finding("Elasticsearch", "missing", "its health is red", remedy))
    names = [str(one["name"]) for one in templates.get("index_templates", [])]
    if not names:
        remedy = "the next start of haat makes them"
        return [*found, Finding("index templates", "note", f"there are none that begin with {prefix}-", remedy)]
    return [*found, Finding("index templates", "ok", ", ".join(sorted(names)))]


def _remedy(error: Exception) -> str:
    if isinstance(error, AuthenticationException | AuthorizationException):
        return "see elasticsearch_api_key, or the user in elasticsearch_url and elasticsearch_password"
    if isinstance(error, TlsError):
        return "see elasticsearch_ca_file, and the names in the certificate"
    return "start it, or set elasticsearch_url"
