"""A person who can log in."""

from datetime import datetime

from sqlalchemy import Index, String, false, func, true
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import BigId, UTCDateTime
from app.extensions import Base

# An account gets an address in this domain if another account has taken its own address back. No
# mail can be sent there (RFC 6761), and nobody can register with it.
NO_DOMAIN = "no-address.invalid"


class User(Base):
    """An account. ``email`` and ``username_key`` are canonical forms, unique by constraint."""

    __tablename__ = "users"
    # SQLite would give the id of a deleted user to the next one, and tokens name users by id.
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    username: Mapped[str] = mapped_column(String(50))
    username_key: Mapped[str] = mapped_column(String(200), unique=True)
    hashed_password: Mapped[str | None] = mapped_column(String(255))
    full_name: Mapped[str | None] = mapped_column(String(100))
    bio: Mapped[str | None] = mapped_column(String(5000))
    avatar_url: Mapped[str | None] = mapped_column(String(500))
    is_active: Mapped[bool] = mapped_column(default=True, server_default=true())
    is_superuser: Mapped[bool] = mapped_column(default=False, server_default=false())
    email_verified: Mapped[bool] = mapped_column(default=False, server_default=false())
    locale: Mapped[str] = mapped_column(String(8), default="en", server_default="en")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=func.now())
    updated_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Since when a login needs a second step. The second step is off where this is missing.
    second_step_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Set while the account waits to be erased; logging in before that clears it.
    deletion_due_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @property
    def lost_address(self) -> bool:
        """Whether another account has taken the address back."""
        return self.email.endswith(f"@{NO_DOMAIN}")


Index(
    "ix_users_deletion_due_at",
    User.deletion_due_at,
    postgresql_where=User.deletion_due_at.is_not(None),
    sqlite_where=User.deletion_due_at.is_not(None),
)

# For filters: the rare side of the first two flags. Of the third, either side may be common.
Index(
    "ix_users_superusers",
    User.id,
    postgresql_where=User.is_superuser,
    sqlite_where=User.is_superuser,
)
Index(
    "ix_users_inactive",
    User.id,
    postgresql_where=~User.is_active,
    sqlite_where=~User.is_active,
)
Index(
    "ix_users_second_step",
    User.id,
    postgresql_where=User.second_step_at.is_not(None),
    sqlite_where=User.second_step_at.is_not(None),
)
Index("ix_users_email_verified_id", User.email_verified, User.id)
