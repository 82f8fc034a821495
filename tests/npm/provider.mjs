// A provider of OpenID Connect that nobody here wrote, with its own pages for login and consent:
// https://github.com/panva/node-oidc-provider. It has no passwords; everybody is who they say.
import Provider from "oidc-provider";

const { issuer, clients } = JSON.parse(process.argv[2]);

const provider = new Provider(issuer, {
  clients,
  pkce: { required: () => true },
  // By default it tells these at its userinfo endpoint, and not in the ID token.
  claims: { email: ["email", "email_verified"], profile: ["name", "preferred_username"] },
  findAccount: (_context, login) => ({
    accountId: login,
    claims: () => ({
      sub: login,
      email: `${login}@example.com`,
      email_verified: true,
      name: login,
      preferred_username: login,
    }),
  }),
  cookies: { keys: ["a key of the tests"] },
});

const { hostname, port } = new URL(issuer);
provider.listen(Number(port), hostname, () => console.log("ready"));
