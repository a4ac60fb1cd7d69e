"""roc-validator without a network: the JSON-LD context of RO-Crate 1.1 comes from the package rocrate.

The validator asks for contexts and profile pages in four ways, by rdflib, by requests, by a cache of those, and by
itself; each is answered from the one file, or refused.
"""

import email.message
import io
import json
import logging
import urllib.request
import urllib.response
from importlib.resources import files
from pathlib import Path
from typing import Any

import rdflib._networking
import requests
import requests_cache
import rocrate_validator.utils.document_loader as loader
from rocrate_validator import models, services

_CONTEXT = files("rocrate").joinpath("data/ro-crate.jsonld").read_bytes()
_URL = "https://w3id.org/ro/crate/1.1/context"
_real_open = urllib.request.urlopen


def _fetched(url: str) -> Any:
    if url.rstrip("/") != _URL:
        raise RuntimeError(f"no network: {url}")
    return json.loads(_CONTEXT)


def _opened(request: Any, *arguments: Any, **options: Any) -> Any:
    url = request if isinstance(request, str) else request.full_url
    if url.startswith("file:"):
        return _real_open(request, *arguments, **options)
    if url.rstrip("/") != _URL:
        raise OSError(f"no network: {url}")
    headers = email.message.Message()
    headers["Content-Type"] = "application/ld+json"
    return urllib.response.addinfourl(io.BytesIO(_CONTEXT), headers, url, 200)


def _sent(_session: Any, request: Any, **_options: Any) -> requests.Response:
    if request.url.split("#")[0].rstrip("/") != _URL:
        raise requests.ConnectionError(f"no network: {request.url}")
    answer = requests.Response()
    answer.status_code, answer._content, answer.url, answer.request = 200, _CONTEXT, request.url, request
    answer.headers["Content-Type"] = "application/ld+json"
    return answer


loader._fetch_json_ld = _fetched
loader.install_document_loader()
setattr(urllib.request, "urlopen", _opened)  # noqa: B010  its type is overloaded
rdflib._networking.urlopen = _opened
requests.Session.send = _sent
requests_cache.CachedSession.send = _sent


def issues(crate: Path, severity: str) -> list[str]:
    """What the validator finds, in words."""
    logging.disable(logging.WARNING)  # files elsewhere, which it cannot look at
    settings = services.ValidationSettings(
        rocrate_uri=str(crate),
        profile_identifier="provenance-run-crate-0.5",
        requirement_severity=getattr(models.Severity, severity),
        skip_availability_check=True,
    )
    found = services.validate(settings).get_issues()
    return [f"{item.check.identifier} {' '.join((item.message or '').split())[:120]}" for item in found]
