"""The version of this application, as features and operators know it."""

VERSION = "0.2.0"
