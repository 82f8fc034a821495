"""Sign-in with Google, GitHub or any other provider of OpenID Connect."""
