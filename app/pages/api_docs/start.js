// Swagger UI for the OpenAPI document of this server.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  // No token stays in the browser's storage, where other scripts would find it.
  persistAuthorization: false,
});
