// Logs in with openid-client: with the password, and then with the ticket of the refusal and a code.
// Reads {url, username, password, otp, grant} as JSON, and writes what the library saw.
import { readFileSync } from "node:fs";
import * as client from "openid-client";

const { url, username, password, otp, grant } = JSON.parse(readFileSync(0, "utf8"));

const server = { issuer: url, token_endpoint: `${url}/auth/token` };
const config = new client.Configuration(server, "an-application", undefined, client.None());
client.allowInsecureRequests(config);

async function refusalOf(request) {
  try {
    await request;
    return null;
  } catch (error) {
    return { kind: error.name, status: error.status, error: error.error, body: error.cause };
  }
}

const byPassword = client.genericGrantRequest(config, "password", { username, password });
const refusal = await refusalOf(byPassword);
const ticket = refusal.body.mfa_token;
const wrong = await refusalOf(
  client.genericGrantRequest(config, grant, { mfa_token: ticket, otp: "000000" }),
);
const tokens = await client.genericGrantRequest(config, grant, { mfa_token: ticket, otp });
const spent = await refusalOf(client.genericGrantRequest(config, grant, { mfa_token: ticket, otp }));
const me = await client.fetchProtectedResource(
  config,
  tokens.access_token,
  new URL(`${url}/users/me`),
  "GET",
);

console.log(JSON.stringify({ refusal, wrong, spent, me: await me.json() }));
