"""The specification's ingest in its smallest form: Flask, one LPUSH an event. ``gunicorn spec_ingest:app``.

What it leaves out (Vault, TLS, its metrics exporter) would only make it slower.
"""

import hmac
import json
import os
import uuid
from datetime import UTC, datetime

import redis
from flask import Flask, jsonify, request

app = Flask(__name__)
client = redis.Redis(port=int(os.environ["REDIS_PORT"]), password=os.environ["REDIS_PASSWORD"])
KEY = os.environ["INGEST_API_KEY"]
QUEUE, MOST = "mutt:ingest_queue", 100_000_000
REQUIRED = ("timestamp", "message", "hostname")


@app.post("/api/v2/ingest")
def ingest():  # type: ignore[no-untyped-def]
    if not hmac.compare_digest(request.headers.get("X-API-KEY", ""), KEY):
        return jsonify(error="unauthorized"), 401
    event = request.get_json()
    missing = [field for field in REQUIRED if not event.get(field)]
    if missing:
        return jsonify(error=f"missing {missing}"), 400
    datetime.fromisoformat(event["timestamp"])
    if client.llen(QUEUE) > MOST:
        return jsonify(error="Queue full, retry later"), 503
    event.setdefault("correlation_id", str(uuid.uuid4()))
    event["ingestion_timestamp"] = datetime.now(UTC).isoformat()
    client.lpush(QUEUE, json.dumps(event))
    return jsonify(status="accepted", correlation_id=event["correlation_id"]), 200
