// What every story needs: the server, a person of its own, and one comparison.
declare const process: { argv: string[] };

export const [server = "", username = ""] = process.argv.slice(2);
export const account = {
  email: `${username}@example.com`,
  username,
  password: "correct horse battery",
};

export function same<T>(found: T, wanted: T): void {
  if (found !== wanted) throw new Error(`${String(found)}, and not ${String(wanted)}`);
}
