import { login, logout, readMe, refresh, register } from "./hey_api/sdk.gen.js";
import { account, same } from "./story.js";

// The address of the server comes from the document.
const { username, password } = account;
const bearer = (token: string) => ({ auth: token });

const registered = await register({ body: account });
same(registered.response?.status, 201);

const loggedIn = await login({ body: { username, password } });
if (!loggedIn.data) throw new Error(loggedIn.error.code);

const me = await readMe(bearer(loggedIn.data.access_token));
same(me.data?.email, account.email);

const { refresh_token } = loggedIn.data;
const refreshed = await refresh({ body: { refresh_token } });
if (!refreshed.data) throw new Error(refreshed.error.code);
const mine = bearer(refreshed.data.access_token);

const loggedOut = await logout(mine);
same(loggedOut.response?.status, 204);

const afterwards = await readMe(mine);
same(afterwards.error?.code, "session_ended");
