"""The version of this application. All other places read it from here."""

VERSION = "0.2.0"
