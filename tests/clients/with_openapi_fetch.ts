import createClient from "openapi-fetch";
import type { paths } from "./openapi_typescript/schema.js";
import { account, same, server } from "./story.js";

const api = createClient<paths>({ baseUrl: server });
const { username, password } = account;
const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });

const registered = await api.POST("/api/v1/auth/register", { body: account });
same(registered.response.status, 201);

const login = await api.POST("/api/v1/auth/login", { body: { username, password } });
if (!login.data) throw new Error(login.error.code);

const me = await api.GET("/api/v1/users/me", bearer(login.data.access_token));
same(me.data?.email, account.email);

const { refresh_token } = login.data;
const refreshed = await api.POST("/api/v1/auth/refresh", { body: { refresh_token } });
if (!refreshed.data) throw new Error(refreshed.error.code);
const mine = bearer(refreshed.data.access_token);

const loggedOut = await api.POST("/api/v1/auth/logout", mine);
same(loggedOut.response.status, 204);

const afterwards = await api.GET("/api/v1/users/me", mine);
same(afterwards.error?.code, "session_ended");
