// Swagger UI for the OpenAPI document of this server.
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
follow();
dark.addEventListener("change", follow);

const description = await (await fetch("openapi.json")).json();
// The document names the public address. Calls of this page go to the server that it came from,
// because its policy allows no other one.
description.servers = [{ url: location.origin }];
document.title = description.info.title;

window.ui = SwaggerUIBundle({
  spec: description,
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  // The list of schemas is long. Each call shows its own.
  defaultModelsExpandDepth: 0,
  // No token stays in the browser's storage, where other scripts would find it.
  persistAuthorization: false,
});
