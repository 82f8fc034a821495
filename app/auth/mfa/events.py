"""The audit events of second factors, and how often each kind of proof was right or wrong."""

from app.audit.vocabulary import declare

FACTOR_ADDED = declare("factor_added")
FACTOR_REMOVED = declare("factor_removed")
FACTOR_FAILED = declare("factor_failed", alarming=True)
FACTORS_RESET = declare("factors_reset")
SECOND_STEP_CHANGED = declare("second_step_changed")
RECOVERY_CODES_MADE = declare("recovery_codes_made")
RECOVERY_CODE_USED = declare("recovery_code_used", alarming=True)
DEVICE_REMEMBERED = declare("device_remembered")
DEVICE_FORGOTTEN = declare("device_forgotten")

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
