// Reads cases as JSON, and writes the verdict of @simplewebauthn/server on each: true, or the refusal.
import { readFileSync } from "node:fs";
import { verifyAuthenticationResponse, verifyRegistrationResponse } from "@simplewebauthn/server";

const { rpId, origins, algorithms, cases } = JSON.parse(readFileSync(0, "utf8"));

async function verdict({ credential, challenge, publicKey }) {
  const expected = {
    response: credential,
    expectedChallenge: challenge,
    expectedOrigin: origins,
    expectedRPID: rpId,
  };
  try {
    const { verified } = publicKey
      ? await verifyAuthenticationResponse({
          ...expected,
          requireUserVerification: true,
          credential: { id: "", publicKey: Buffer.from(publicKey, "base64url"), counter: 0 },
        })
      : await verifyRegistrationResponse({
          ...expected,
          requireUserVerification: false,
          supportedAlgorithmIDs: algorithms,
        });
    return verified || "not verified";
  } catch (error) {
    return String(error);
  }
}

const verdicts = [];
for (const each of cases) verdicts.push(await verdict(each));
console.log(JSON.stringify(verdicts));
