"""The page of what happened to the account."""

from flask import Response, request

from app.access.guards import current_user, signed_in
from app.audit import activity
from app.pages.account import event_sentences
from app.pages.page import Pages, render

bp = Pages("activity", __name__)

ON_A_PAGE = 20


@bp.get("/account/activity")
@signed_in
def activity_page() -> Response:
    cursor = request.args.get("cursor")
    found = activity.about(current_user().id, limit=ON_A_PAGE, cursor=cursor)
    return render(
        "account/activity.html",
        events=[
            (event.at, event_sentences.sentence_of(event), event_sentences.is_alarming(event))
            for event in found.items
        ],
        older=found.next_cursor,
        is_first=cursor is None,
    )
