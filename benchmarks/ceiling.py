"""The ceiling: `GET me` and a rotating refresh, made by hand with only Flask, psycopg and PyJWT.

It has no input rules, no error shape, no limits, no log and no security
headers. Everybody who uses Flask needs the rest. It runs on the product's own
database, so both read and write the same rows.
"""

import os
import time
from queue import LifoQueue
from uuid import UUID, uuid4

import jwt
import psycopg
from flask import Flask, Response, request

app = Flask(__name__)
# It has its own object, because a product in the same process may change PyJWT's common one.
tokens = jwt.PyJWT()

SECRET = os.environ["SECRET_KEY"]
ISSUER = "http://localhost:8000"
# More connections would not be faster: a statement takes a fraction of a millisecond.
POOL_SIZE = 8
connections: LifoQueue[psycopg.Connection | None] = LifoQueue()
for _ in range(POOL_SIZE):
    connections.put(None)

ME = """
SELECT u.id, email, username, full_name, bio, avatar_url, is_active, is_superuser,
       email_verified, locale, u.created_at, updated_at, s.user_id
  FROM sessions s JOIN users u ON u.id = s.user_id
 WHERE s.id = %s AND s.ended_at IS NULL AND s.expires_at > now() AND u.is_active
"""
ROTATE = """
UPDATE sessions SET previous_jti = refresh_jti, refresh_jti = %s, refreshed_at = now(),
       expires_at = LEAST(max_expires_at, now() + interval '14 days')
 WHERE id = %s AND refresh_jti = %s AND ended_at IS NULL AND expires_at > now()
   AND EXISTS (SELECT 1 FROM users WHERE id = user_id AND is_active)
RETURNING user_id, refreshed_at, expires_at
"""


def fetch_one(statement: str, *values: object) -> tuple | None:
    connection = connections.get() or connect()
    row = connection.execute(statement, values, prepare=True).fetchone()
    connections.put(connection)
    return row


def connect() -> psycopg.Connection:
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)


def decode(token: str) -> dict:
    return tokens.decode(token, SECRET, algorithms=["HS256"], audience=ISSUER, issuer=ISSUER)


def encode(**claims: object) -> str:
    return tokens.encode({"iss": ISSUER, "aud": ISSUER, **claims}, SECRET, "HS256")


@app.get("/api/v1/users/me")
def me() -> Response | tuple[str, int]:
    claims = decode(request.headers["Authorization"][7:])
    row = fetch_one(ME, UUID(claims["sid"]))
    if row is None or str(row[12]) != claims["sub"]:
        return "", 401
    return app.json.response(
        id=row[0],
        email=row[1],
        username=row[2],
        full_name=row[3],
        bio=row[4],
        avatar_url=row[5],
        is_active=row[6],
        is_superuser=row[7],
        email_verified=row[8],
        locale=row[9],
        created_at=row[10].isoformat(),
        updated_at=row[11] and row[11].isoformat(),
    )


@app.post("/api/v1/auth/refresh")
def refresh() -> Response | tuple[str, int]:
    claims = decode(request.get_json()["refresh_token"])
    sid, jti = claims["sid"], uuid4()
    row = fetch_one(ROTATE, jti, UUID(sid), UUID(claims["jti"]))
    if row is None:
        return "", 401
    user_id, refreshed_at, expires_at = row
    now = int(time.time())
    same = {"sub": str(user_id), "sid": sid}
    return app.json.response(
        access_token=encode(
            **same, jti=str(uuid4()), iat=now, exp=now + 900, type="access", fresh=False
        ),
        refresh_token=encode(
            **same,
            jti=str(jti),
            iat=int(refreshed_at.timestamp()),
            exp=int(expires_at.timestamp()),
            type="refresh",
        ),
        token_type="bearer",
        expires_in=900,
    )
