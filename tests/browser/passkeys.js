// What a page does with passkeys. It gives back status and answer of the last call.
const api = async (path, body, token) => {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(`/api/v1/auth/${path}`, {
    method: "POST",
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return { status: answer.status, body: await answer.json() };
};

const make = async (options) => {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  return (await navigator.credentials.create({ publicKey })).toJSON();
};

const get = async (options) => {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return (await navigator.credentials.get({ publicKey })).toJSON();
};

// The refusal of the browser itself, by its name.
const orRefusal = (promise) => promise.catch((error) => ({ refusedBy: "browser", name: error.name }));

window.passkeys = {
  logIn: (username, password) => api("login", { username, password }),

  register: (token, changes = {}) =>
    orRefusal(
      (async () => {
        const { ceremony, options } = (await api("passkeys/options", undefined, token)).body;
        const credential = await make({ ...options, ...changes });
        return api("passkeys", { ceremony, credential }, token);
      })(),
    ),

  secondStep: (mfa_token) =>
    orRefusal(
      (async () => {
        const { ceremony, options } = (await api("mfa/passkey-options", { mfa_token })).body;
        return api("mfa", { mfa_token, ceremony, credential: await get(options) });
      })(),
    ),

  withoutPassword: (changes = {}) =>
    orRefusal(
      (async () => {
        const { ceremony, options } = (await api("passkeys/login-options", {})).body;
        return api("passkeys/login", { ceremony, credential: await get({ ...options, ...changes }) });
      })(),
    ),
};
true;
