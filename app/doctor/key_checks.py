"""Checks of the rows that need a key of the key ring."""

from app import features
from app.doctor.checks import checks
from app.features import keyed
from app.features.checks import Reason, Weight
from app.features.keyed import KeyedRows, SealedRows
from config import Settings


@checks(
    Weight.GOOD_TO_KNOW,
    "Set DATA_KEYS=id:secret, and keep it: docs/keys.md says how to change it.",
)
def data_keys_are_set(settings: Settings) -> str | None:
    if not settings.data_keys:
        return Reason(
            "DATA_KEYS is empty: the secrets of second factors are sealed with a key of "
            "SECRET_KEY, and do not open after SECRET_KEY has changed.",
        )
    return None


_BRING_BACK = (
    "Put the key back: into DATA_KEYS, or the earlier SECRET_KEY. docs/keys.md says what to do "
    "without it."
)


@checks(Weight.DANGEROUS, _BRING_BACK, slow=True)
def sealed_rows_have_their_key(_settings: Settings) -> str | None:
    found = _without_key(SealedRows)
    if not found:
        return None
    return Reason("They are sealed with a key that is gone: %(found)s.", found=found)


@checks(Weight.WEAK, _BRING_BACK, slow=True)
def digests_have_their_key(_settings: Settings) -> str | None:
    found = _without_key(KeyedRows)
    if not found:
        return None
    return Reason("They do not work, because their key is gone: %(found)s.", found=found)


def _without_key(kind: type[KeyedRows]) -> str:
    counted = [
        (keyed.number_without_key(rows), rows.what)
        for feature in features.active()
        for rows in feature.keyed
        if type(rows) is kind
    ]
    return ", ".join(f"{number} {what}" for number, what in counted if number)
