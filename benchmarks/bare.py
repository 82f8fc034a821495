"""A bare Flask route: the lowest cost that a request can have."""

from flask import Flask, Response, jsonify

app = Flask(__name__)


@app.get("/")
def bare() -> Response:
    return jsonify(status="ok")
