"""Second factors as an optional feature."""

from marshmallow import fields

from app.auth.mfa import checks, messages, second_step, tickets
from app.auth.mfa.errors import FactorExists, FactorRequired, MfaTicketInvalid, NoFactor
from app.auth.mfa.events import EVENTS
from app.auth.mfa.export_schemas import rows_of
from app.auth.mfa.factors import credentials_changed
from app.auth.mfa.methods import has_factor
from app.auth.mfa.models import MfaTicket
from app.auth.mfa.operating import FACTORS_READ, FACTORS_RESET
from app.auth.mfa.settings import MfaSettings
from app.errors import MfaRequired, WrongFactor
from app.features import ExportPart, Feature
from app.http.fields import Instant, Schema


class HeldTicketSchema(Schema):
    """A login that waited for its second step. The ticket itself is not stored."""

    signed_in_by = fields.String()
    amr = fields.Function(
        lambda ticket: ticket.amr.split(),
        metadata={"type": "array", "items": {"type": "string"}},
    )
    created_at = Instant()
    expires_at = Instant()
    used_at = Instant(allow_none=True)


FEATURE = Feature(
    name="mfa",
    blueprints=("app.auth.mfa.routes:bp", "app.auth.mfa.admin_routes:bp"),
    permissions=(FACTORS_READ, FACTORS_RESET),
    models=(MfaTicket,),
    settings=MfaSettings,
    events=EVENTS,
    mails=messages.ALL,
    errors=(MfaRequired, WrongFactor, MfaTicketInvalid, NoFactor, FactorExists, FactorRequired),
    checks=(checks.second_factors_are_required, checks.superusers_have_a_second_factor),
    stages=(second_step.stage,),
    has_factor=has_factor,
    prove_again=second_step.prove_again,
    grants={second_step.OTP_GRANT: second_step.grant},
    credentials_changed=credentials_changed,
    exported=(
        ExportPart("second_step_at", Instant(allow_none=True), lambda user: user.second_step_at),
        rows_of("mfa_tickets", HeldTicketSchema, MfaTicket),
    ),
    prunes={"mfa tickets": tickets.prune},
)
