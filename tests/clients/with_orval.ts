import { login, logout, readMe, refresh, register } from "./orval/api.js";
import { account, same } from "./story.js";

// The address of the server comes from the document.
const { username, password } = account;
const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });

const registered = await register(account);
same(registered.status, 201);

const loggedIn = await login({ username, password });
if (loggedIn.status !== 200) throw new Error(loggedIn.data.code);

const me = await readMe(bearer(loggedIn.data.access_token));
// There is nothing to read in 304, which only a call with If-None-Match gets.
if (me.status === 304) throw new Error("304 without If-None-Match");
if (me.status !== 200) throw new Error(me.data.code);
same(me.data.email, account.email);

const { refresh_token } = loggedIn.data;
const refreshed = await refresh({ refresh_token });
if (refreshed.status !== 200) throw new Error(refreshed.data.code);
const mine = bearer(refreshed.data.access_token);

const loggedOut = await logout({}, {}, mine);
same(loggedOut.status, 204);

const afterwards = await readMe(mine);
same(afterwards.status, 401);
if (afterwards.status === 401) same(afterwards.data.code, "session_ended");
