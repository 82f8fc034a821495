// Swagger UI over the document that this server writes of itself.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  // No token stays in the browser's storage, where other scripts would find it.
  persistAuthorization: false,
});
