"""The least that Flask can do: the floor of what a request costs."""

from flask import Flask, Response, jsonify

app = Flask(__name__)


@app.get("/")
def bare() -> Response:
    return jsonify(status="ok")
