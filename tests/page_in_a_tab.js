// Opens page.js as a browser tab would, several times, and prints what became of the token.
// Arguments: the script, and JSON: {visits: [fragment, …], answer: status, blocked: bool}.
const vm = require("vm");
const source = require("fs").readFileSync(process.argv[2], "utf8");
const plan = JSON.parse(process.argv[3]);

const stored = new Map();
const refuse = () => { throw new Error("SecurityError"); };
const storage = plan.blocked
  ? { getItem: refuse, setItem: refuse, removeItem: refuse }
  : {
      getItem: (key) => stored.get(key) ?? null,
      setItem: (key, value) => stored.set(key, value),
      removeItem: (key) => stored.delete(key),
    };
const posted = [];
const shown = [];

async function visit(hash) {
  const listeners = {};
  const elements = {};
  const location = { pathname: "/account/verify-email", hash, reload: () => shown.push("reload") };
  const element = (id) => (elements[id] ??= { addEventListener: (name, act) => { listeners[name] = act; } });
  const context = {
    document: { documentElement: {}, getElementById: element },
    fetch: async (_url, { body }) => {
      posted.push(JSON.parse(body).token);
      return { ok: plan.answer < 400, json: async () => ({ detail: "no" }) };
    },
    history: { replaceState: () => { location.hash = ""; } },
    location,
    navigator: { language: "en" },
    sessionStorage: storage,
    URLSearchParams,
    window: { addEventListener: (name, act) => { listeners[name] = act; } },
  };
  vm.runInNewContext(source, context);
  shown.push(location.hash);
  if (!element("button").disabled) await listeners.submit({ preventDefault() {} });
  return listeners;
}

(async () => {
  let listeners = {};
  for (const hash of plan.visits) listeners = await visit(hash);
  if (plan.follow) listeners.hashchange();
  console.log(JSON.stringify({ posted, shown, kept: [...stored.values()] }));
})();
