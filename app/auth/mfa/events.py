"""The audit events of second factors, and how often each kind of proof was right or wrong."""

from app.audit.vocabulary import declare

FACTOR_ADDED = declare("factor_added", description="You added a second factor%(origin)s.")
FACTOR_REMOVED = declare("factor_removed", description="You removed a second factor%(origin)s.")
FACTOR_FAILED = declare(
    "factor_failed",
    alarming=True,
    description="Somebody gave a wrong code or passkey as the second step%(origin)s.",
)
FACTORS_RESET = declare("factors_reset", description="Your second factors were removed%(origin)s.")
SECOND_STEP_CHANGED = declare(
    "second_step_changed", description="You changed whether a login needs a second step%(origin)s."
)
RECOVERY_CODES_MADE = declare(
    "recovery_codes_made", description="You made new recovery codes%(origin)s."
)
RECOVERY_CODE_USED = declare(
    "recovery_code_used", alarming=True, description="A recovery code was used%(origin)s."
)
DEVICE_REMEMBERED = declare(
    "device_remembered", description="You let a device skip the second step%(origin)s."
)
DEVICE_FORGOTTEN = declare(
    "device_forgotten", description="A remembered device must give the second step again%(origin)s."
)

EVENTS = (
    FACTOR_ADDED,
    FACTOR_REMOVED,
    FACTOR_FAILED,
    FACTORS_RESET,
    SECOND_STEP_CHANGED,
    RECOVERY_CODES_MADE,
    RECOVERY_CODE_USED,
    DEVICE_REMEMBERED,
    DEVICE_FORGOTTEN,
)
