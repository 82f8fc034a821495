"""The fields that hold second proofs.

A login may carry one beside the password. What is compared, and how, is the
matter of the features that bring second factors.
"""

import re
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from app.errors import Message
from app.http.fields import Schema, Text

ONE_PROOF = Message("one_proof", "Exactly one proof is required.")
AT_MOST_ONE = Message("one_proof", "At most one of otp and recovery_code is accepted.")


class _Pattern(Text):
    """Text of one form. Anything else is refused before a try is counted."""

    PATTERN: str
    REFUSAL: Message

    def __init__(self, *, longest: int, may_be_empty: bool = False, **kwargs: Any) -> None:
        self.may_be_empty = may_be_empty
        document = {"pattern": f"^{self.PATTERN}$"} | kwargs.pop("metadata", {})
        super().__init__(max_length=longest, load_only=True, metadata=document, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if not (re.fullmatch(self.PATTERN, text) or (self.may_be_empty and not text)):
            raise ValidationError(self.REFUSAL)
        return text


class OneTimeCode(_Pattern):
    """Six digits of an authenticator app. Digits of other scripts are refused."""

    PATTERN = "[0-9]{6}"
    REFUSAL = Message("invalid_code", "Must be six digits.")

    def __init__(self, **kwargs: Any) -> None:
        # Longer texts get the same refusal, so the pattern alone says how long a code is.
        super().__init__(longest=64, **kwargs)


class RecoveryCodeText(_Pattern):
    """A recovery code, in either case, with or without dashes and spaces."""

    PATTERN = "([ -]*[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]){16}[ -]*"
    REFUSAL = Message("invalid_code", "Must be a code like 1a2b-3c4d-5e6f-7g8h.")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(longest=64, **kwargs)


def refuse_two_proofs(data: dict[str, Any]) -> None:
    """A login takes at most one second proof along."""
    if data.get("otp") and data.get("recovery_code"):
        raise ValidationError(AT_MOST_ONE)


class SecondProofSchema(Schema):
    """Exactly one of a code, a recovery code, and a passkey's answer to a ceremony."""

    otp = OneTimeCode()
    recovery_code = RecoveryCodeText()
    ceremony = Text(max_length=2000)
    credential = fields.Dict(keys=fields.String())

    @validates_schema
    def want_one_proof(self, data: dict[str, Any], **_: Any) -> None:
        if ("ceremony" in data) != ("credential" in data):
            raise ValidationError(ONE_PROOF)
        if sum(name in data for name in self.PROOFS) != 1:
            raise ValidationError(ONE_PROOF)

    PROOFS: tuple[str, ...] = ("otp", "recovery_code", "credential")
