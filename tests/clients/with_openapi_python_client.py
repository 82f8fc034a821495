"""The story for the client that openapi-python-client wrote into the package ``accounts``."""

import sys

from accounts import AuthenticatedClient, Client
from accounts.api.auth import login, logout, refresh, register
from accounts.api.users import read_me
from accounts.models import Login, Problem, Refresh, Register, Token, User

server, username = sys.argv[1:]
password = "correct horse battery"
client = Client(base_url=server)


def with_token(token: str) -> AuthenticatedClient:
    return AuthenticatedClient(base_url=server, token=token)


account = Register(email=f"{username}@example.com", username=username, password=password)
registered = register.sync(client=client, body=account)
assert isinstance(registered, User), registered

pair = login.sync(client=client, body=Login(username=username, password=password))
assert isinstance(pair, Token), pair

me = read_me.sync(client=with_token(pair.access_token))
assert isinstance(me, User), me
assert me.email == account.email
assert me.created_at.tzinfo is not None

renewed = refresh.sync(client=client, body=Refresh(refresh_token=pair.refresh_token))
assert isinstance(renewed, Token), renewed
mine = with_token(renewed.access_token)

assert logout.sync_detailed(client=mine).status_code == 204

afterwards = read_me.sync(client=mine)
assert isinstance(afterwards, Problem), afterwards
assert afterwards.code == "session_ended"
